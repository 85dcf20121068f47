package state

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// TestOneBackfillAtATime: a backfill keeps others out of the stream's history, and
// runs out of nothing.
func TestOneBackfillAtATime(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	if Backfilling(f) {
		t.Error("one goes on before the first")
	}
	lock, err := LockBackfill(f)
	must(t, err)
	if !Backfilling(f) {
		t.Error("the one that goes on is not seen")
	}
	if _, err := LockBackfill(f); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "lock the backfill of "+f.State) {
		t.Errorf("another one: %v", err)
	}
	mustOpen(t, f)
	must(t, lock.Close())
	if Backfilling(f) {
		t.Error("it goes on after its end")
	}
	if lock, err = LockBackfill(f); err != nil {
		t.Fatal("the next one:", err)
	}
	must(t, lock.Close())
}

// TestAFolderInThePlaceOfABackfillsLock is an error of whoever wants it, and nobody to wait for.
func TestAFolderInThePlaceOfABackfillsLock(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	must(t, os.Mkdir(backfillLock(f), 0o700))
	if _, err := LockBackfill(f); err == nil || errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("LockBackfill: %v", err)
	}
	if Backfilling(f) {
		t.Error("a folder is taken for a backfill")
	}
}
