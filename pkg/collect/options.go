package collect

import (
	"context"
	"fmt"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// Source answers questions about one stream.
type Source interface {
	// Page asks once. Records come newest first (observed, not documented, and
	// therefore checked). An error that has a method WaitUntil() (time.Time,
	// bool) answering true says that Atlassian wants to be left alone until
	// then; one whose method TooLarge() bool answers true, that the answer was
	// too large and fewer records should be asked for; one whose method
	// CursorRefused() bool answers true, that the question may be good without
	// its cursor.
	//
	// The log of an organisation is read the other way round: records come in the
	// order of their processing, oldest first, and Page.Next asks for what follows.
	//
	// A source that writes records of the questions it is asked marks these as Own,
	// and may have a method Asked() []audit.Asked: what it answers is kept with
	// the position, for the source of the next run.
	Page(ctx context.Context, q audit.Query) (audit.Page, error)
}

// Prefetcher is a Source that can fetch the answer to the next question while it
// decodes this one's.
type Prefetcher interface {
	Source
	// Prefetch is Page. As soon as the answer's bytes are here, and before they
	// are checked, next may be told, once, the time at which the page seems to
	// end, and says what will be asked then, if anything. That is fetched
	// meanwhile, and thrown away where the next Prefetch asks something else; it
	// ends with ctx.
	Prefetch(ctx context.Context, q audit.Query, next func(oldest int64) (audit.Query, bool)) (audit.Page, error)
	// Settle gives up what was fetched and never asked for, and waits for its end.
	Settle()
}

// State keeps the position. See pkg/state for what each method promises.
type State interface {
	Position() (audit.Position, error)
	Batch() (audit.Batch, bool, error)
	// SeenAt answers what is remembered of the milliseconds, ascending and
	// without repetition.
	SeenAt(millis []int64) ([]audit.Seen, error)
	// NextSeen answers the oldest dated record remembered at or after ms.
	NextSeen(ms int64) (next int64, ok bool, err error)
	// Commit makes a change durable, all of it or nothing.
	Commit(c audit.Change) error
}

// Spool takes lines. See pkg/spool for what each method promises.
type Spool interface {
	Next(file string, end, since int64, n int) (place audit.Place, newSince int64)
	Write(place audit.Place, lines []byte) error
	Stage(place audit.Place, lines []byte) (done bool, err error)
	Publish(file string, length int64) error
	Recover(b audit.Batch) (written bool, rest []byte, err error)
	Keep(recordID string, raw []byte) error
}

// Options are how a stream is collected.
type Options struct {
	Stream audit.Stream
	// Service and Tags are for the log lines.
	Service string
	Tags    []string
	// Names knows people by their account ids; nil knows nobody. It is asked by
	// one goroutine at a time.
	Names audit.Names
	// Redact takes things out of records before they are written; nil takes nothing.
	Redact *audit.Redaction
	// Now is this machine's clock; ServerNow is the same as far as possible
	// corrected by Atlassian's. Both are needed.
	Now       func() time.Time
	ServerNow func() time.Time
	// InitialLookback is how far back the first run reaches, Lookback how much
	// every run reads again; every ReconcileInterval, ReconcileWindow is read
	// again.
	InitialLookback   time.Duration
	Lookback          time.Duration
	ReconcileWindow   time.Duration
	ReconcileInterval time.Duration
	// PageSize is the number of records asked for at once; 0 means 1,000, the
	// most that Atlassian gives, or 200 for the log of an organisation.
	PageSize int
	// BatchSize is how many bytes of lines may share a commit where answers come
	// fast; 0 means 2.5 MiB. About three times as much is held in memory.
	BatchSize int
	// Remembered is how many records of a history are remembered at least, from the
	// place that is read upwards (see History); 0 means 25,000. At most twice as
	// many are, and those of one step.
	Remembered int
	// Mark is called before the first commit, with the millisecond from which
	// on everything is wanted; nil is allowed.
	Mark func(resume int64) error
}

// cursors reports a stream that is read by cursors, oldest first.
func (o Options) cursors() bool { return o.Stream.Product == audit.Organization }

func (o Options) withDefaults() (Options, error) {
	if o.PageSize == 0 {
		o.PageSize = 1000
		if o.cursors() {
			o.PageSize = 200
		}
	}
	if o.BatchSize == 0 {
		o.BatchSize = 5 << 19
	}
	if o.Remembered == 0 {
		o.Remembered = 25_000
	}
	if o.Now == nil || o.ServerNow == nil {
		return o, fmt.Errorf("collect %s: a clock is missing", o.Stream.Product)
	}
	if o.PageSize < 1 || o.BatchSize < 1 || o.Remembered < 1 || o.InitialLookback <= 0 || o.Lookback < 0 || o.ReconcileWindow < 0 || o.ReconcileInterval <= 0 {
		return o, fmt.Errorf("collect %s: page size, batch size and spans of time must be positive", o.Stream.Product)
	}
	return o, nil
}

// Summary counts what a run did so far, and says where it stands.
type Summary struct {
	// Records reached the spool; Duplicates were read again and dropped.
	Records    int
	Duplicates int
	// Late records were too old, or dated too far ahead, for an official date.
	Late int
	// Own records were written because of our own questions, and left out.
	Own int
	// Undated records had no readable time. Truncated lines were too long.
	Undated   int
	Truncated int
	// LiveDone is true when the live edge was read to its end in this run.
	LiveDone bool
	// Gap is the time not read yet below the live edge, and Recheck what is to
	// be read again.
	Gap     time.Duration
	Recheck time.Duration
	// History is the time not read yet of what somebody asked for below the floor.
	History time.Duration
	// Upper is the newest record read (ms since the epoch), 0 for none; LiveAt
	// when the live edge was last read to its end (wall clock, ms), 0 for never.
	Upper  int64
	LiveAt int64
	// HiddenSince is since when Atlassian withholds records (see Guard), and GapAt
	// when the gap last became shorter (both wall clock, ms); 0 for not, and none.
	HiddenSince int64
	GapAt       int64
	// Notices are sentences for a person: known records that an answer lacked,
	// an order that could not be trusted.
	Notices []string
	// Suspicious is true when an answer lacked records that it should have shown.
	Suspicious bool
}
