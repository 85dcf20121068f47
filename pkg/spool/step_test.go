package spool_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/spool"
)

// TestARunCountsWhatItDidToAllFiles, not to the last of them.
func TestARunCountsWhatItDidToAllFiles(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	d.agent.Down = true
	for _, ages := range [][]time.Duration{{17 * time.Hour, 17 * time.Hour}, {17 * time.Hour}, {17 * time.Hour, time.Hour}} {
		d.write(ages...)
		d.file = ""
		d.now = d.now.Add(time.Second)
	}
	d.runs(1)
	d.now = d.now.Add(31 * time.Minute)
	if out := d.runs(1); out.TakenOut != 3 {
		t.Errorf("it did %+v", out)
	}
	d.now = d.now.Add(2 * time.Minute)
	if out := d.runs(1); out.Renewed != 3 || out.Late != 4 {
		t.Errorf("it did %+v, want three files with four lines that are late now", out)
	}
	d.agent.Down = false
	d.runs(3)
	d.wantReceived(false)
}

// TestStandingAfterAStep: who steps and asks then is told of the files as they are.
func TestStandingAfterAStep(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	d.agent.Down = true
	d.write(17*time.Hour, 17*time.Hour)
	size := d.end
	d.file = ""
	step := func(want spool.Standing) {
		t.Helper()
		tr, err := d.track()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tr.Renew("", func() error { return nil }, func() bool { return false }); err != nil {
			t.Fatal(err)
		}
		got, err := tr.Standing()
		if err != nil {
			t.Fatal(err)
		}
		got.Known, got.Since, got.Oldest, got.GivenUp = false, time.Time{}, time.Time{}, nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if err := tr.Save(); err != nil {
			t.Fatal(err)
		}
	}
	step(spool.Standing{Bytes: size, Files: 1})
	d.now = d.now.Add(31 * time.Minute)
	step(spool.Standing{Bytes: size, Files: 1, TakenOut: size})
	d.now = d.now.Add(2 * time.Minute)
	tr, err := d.track()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := tr.Renew("", func() error { return nil }, func() bool { return false }); err != nil || out.Renewed != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	got, err := tr.Standing()
	if err != nil || got.TakenOut != 0 || got.Files != 1 || got.Bytes <= 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestAnIdleRunWritesNothing: what is remembered is written where it changed.
func TestAnIdleRunWritesNothing(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	d.write(0)
	d.agent.Work()
	d.runs(3)
	notes, _ := d.fs.ReadFile(base + "/state/notes.json")
	made := d.fs.Count("Create")
	d.runs(5)
	if n := d.fs.Count("Create") - made; n != 0 {
		t.Errorf("%d files were made by runs that had nothing to do", n)
	}
	if got, _ := d.fs.ReadFile(base + "/state/notes.json"); string(got) != string(notes) {
		t.Errorf("the notes became %s, and were %s", got, notes)
	}
	d.write(0)
	d.runs(1)
	if got, _ := d.fs.ReadFile(base + "/state/notes.json"); string(got) == string(notes) {
		t.Errorf("the notes are still %s", got)
	}
}

// TestTenMinutesAreTenMinutes: a file leaves exactly then, and each is counted.
func TestTenMinutesAreTenMinutes(t *testing.T) {
	t.Parallel()
	each(t, "two files", func(t *testing.T, d *depot) {
		for range 2 {
			d.write(0)
			path, end := places.Spool+"/"+d.file, d.end
			d.agent.Memory[path] = spool.Offset{Bytes: end, Touched: d.now}
			d.file = ""
		}
		d.agent.Flush()
		d.agent.Down = true
		d.now = d.now.Add(10*time.Minute - time.Millisecond)
		if out, err := d.run(); err != nil || out.Delivered != 0 || len(d.in(places.Delivered)) != 0 {
			t.Errorf("a millisecond too early: %+v, %v", out, err)
		}
		d.now = d.now.Add(time.Millisecond)
		if out, err := d.run(); err != nil || out.Delivered != 2 || len(d.in(places.Delivered)) != 2 {
			t.Errorf("%+v, %v", out, err)
		}
	})
}
