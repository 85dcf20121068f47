package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"time"

	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/audit"
)

// Outcome is how a run ended for a product, in a word.
type Outcome string

// The outcomes of a run.
const (
	// OutcomeDone: everything up to the present was read.
	OutcomeDone Outcome = "done"
	// OutcomeBehind: the run's time was over before that.
	OutcomeBehind Outcome = "behind"
	// OutcomeWaiting: Atlassian asked to wait.
	OutcomeWaiting Outcome = "waiting"
	// OutcomeStandby: another machine collects.
	OutcomeStandby Outcome = "standby"
	// OutcomePaused: there is no room for more.
	OutcomePaused Outcome = "paused"
	// OutcomeFailed: there is an error.
	OutcomeFailed Outcome = "failed"
)

// lastRunVersion is the format of the file; see docs/formats.md.
const lastRunVersion = 1

// maxLastRun bounds what is read of a file; one takes some KiB.
const maxLastRun = 4 << 20

// LastRun is what a run leaves behind for a person who asks later: small, made
// anew by each run, and of no influence on what is collected.
type LastRun struct {
	Version int `json:"version"`
	// Program is the version of the program that ran.
	Program string    `json:"program,omitempty"`
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended"`
	Outcome Outcome   `json:"outcome"`
	// Records are new in the spool, Requests were sent to the audit API.
	Records  int `json:"records"`
	Requests int `json:"requests"`
	// Failure is the last error there was, in this run or an earlier one.
	Failure *LastError `json:"last_error,omitempty"`
	// Expires is when the credential ends, as far as the run could know: a token
	// may tell that only the Agent can read. Zero where it is unknown.
	Expires time.Time `json:"expires,omitzero"`
	// Waiting says why nothing was asked; empty where it was.
	Waiting string `json:"waiting,omitempty"`
	// CanConnect and IsCurrent are what the service checks said.
	CanConnect Judgement `json:"can_connect"`
	IsCurrent  Judgement `json:"is_current"`
	// Registry is where the Agent's registry was looked for.
	Registry string `json:"registry,omitempty"`
	// Position is where the stream stood at the end; nil where it was not known.
	Position *audit.Position `json:"position,omitempty"`
}

// LastError is an error as it was told.
type LastError struct {
	// At is when the last run with an error ended, Since when the first of those
	// that followed one another did. Over is true once Atlassian answered again.
	At    time.Time `json:"at"`
	Since time.Time `json:"since"`
	Over  bool      `json:"over"`
	// Error is the whole sentence, Next what to do, Code its stable code.
	Error string `json:"error"`
	Next  string `json:"next,omitempty"`
	Code  string `json:"code,omitempty"`
	// Person is true where waiting will not help: somebody must act.
	Person bool `json:"person"`
}

// Judgement is what a service check said.
type Judgement struct {
	Status  Status `json:"status"`
	Message string `json:"message,omitempty"`
}

// lastRun is what the run leaves behind about s, given what was left before.
func (r *run) lastRun(s *stream, before *LastRun, canConnect, isCurrent Judgement) LastRun {
	sum := s.summary()
	out := LastRun{Version: lastRunVersion, Program: r.options.Version, Began: r.began.UTC(), Ended: r.options.Now().UTC(),
		Records: sum.Records, Waiting: s.idle, Registry: r.registry.path, CanConnect: canConnect, IsCurrent: isCurrent}
	out.Expires, _ = r.config.Expires()
	if s.source != nil {
		out.Requests = s.source.Requests()
	}
	switch {
	case s.err != nil:
		out.Outcome = OutcomeFailed
	case s.standby != "":
		out.Outcome = OutcomeStandby
	case s.paused:
		out.Outcome = OutcomePaused
	case s.idle != "":
		out.Outcome = OutcomeWaiting
	case sum.LiveDone:
		out.Outcome = OutcomeDone
	default:
		out.Outcome = OutcomeBehind
	}
	if before != nil && out.Registry == "" {
		out.Registry = before.Registry
	}
	if before != nil && before.Failure != nil {
		f := *before.Failure
		f.Over = f.Over || s.err == nil && (s.standby != "" || s.source != nil && s.source.good > 0)
		out.Failure = &f
	}
	if s.err != nil {
		f := lastErrorOf(s.err)
		f.At, f.Since = out.Ended, out.Ended
		if out.Failure != nil && !out.Failure.Over {
			f.Since = out.Failure.Since
		}
		out.Failure = &f
	}
	switch {
	case s.collector != nil:
		p := s.collector.Position()
		out.Position = &p
	case s.known:
		p := s.before
		out.Position = &p
	case before != nil:
		out.Position = before.Position
	}
	return out
}

// lastErrorOf is an error, told. What is not an answer of Atlassian's is this
// machine's fault: it does not pass by itself.
func lastErrorOf(err error) LastError {
	e := LastError{Error: sentenceOf(err), Code: CodeOf(err), Person: true}
	if answer := (*atlassian.Error)(nil); errors.As(err, &answer) {
		e.Next, e.Person = answer.Next, answer.NeedsPerson()
	}
	if kind, ok := FailureOf(e.Code); ok && e.Next == "" {
		e.Next = kind.Next
	}
	return e
}

func (l *LastRun) redact(secrets []string) {
	texts := []*string{&l.Waiting, &l.CanConnect.Message, &l.IsCurrent.Message}
	if l.Failure != nil {
		texts = append(texts, &l.Failure.Error, &l.Failure.Next)
	}
	for _, text := range texts {
		*text = redact(*text, secrets)
	}
}

// remember leaves behind how the run ended for s. That it cannot must fail no
// run: where the disk is full, more important things have said so.
func (r *run) remember(s *stream, canConnect, isCurrent Judgement) {
	if !r.ours {
		return
	}
	path := r.folders.lastRun(s.product)
	before, err := readLastRun(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.report.Log("debug", err.Error())
	}
	l := r.lastRun(s, before, canConnect, isCurrent)
	l.redact(r.secrets)
	if err := writeLastRun(path, l); err != nil {
		r.report.Log("debug", fmt.Sprintf("what the command status would show was not written: %v", err))
	}
}

// writeLastRun writes l over what is at path. It neither waits for the disk nor
// moves a new file into its place, which would cost an idle run more than all the
// rest of this: a checksum tells what was cut short, and the next run makes it anew.
func writeLastRun(path string, l LastRun) error {
	body, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode the last run: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	line := fmt.Appendf(nil, "%08x %s\n", crc32.Checksum(body, castagnoli), body)
	_, err = f.Write(line)
	if info, statErr := f.Stat(); err == nil && (statErr != nil || info.Size() > int64(len(line))) {
		err = errors.Join(statErr, f.Truncate(int64(len(line))))
	}
	return errors.Join(err, f.Close())
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// readLastRun reads what a run left behind; fs.ErrNotExist where none did.
func readLastRun(path string) (*LastRun, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxLastRun {
		return nil, fmt.Errorf("%s is not what a run leaves behind: find out who put it there, and remove it", path)
	}
	var l LastRun
	for tries := 0; ; tries++ {
		// A run may be writing it just now.
		if l, err = readLine(path); err == nil || tries == 3 || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	if l.Version != lastRunVersion {
		return nil, fmt.Errorf("%s has the format %d, which this version does not know; the next run makes it anew", path, l.Version)
	}
	return &l, nil
}

// readLine reads the first line of a file as writeLastRun wrote it.
func readLine(path string) (l LastRun, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return l, err
	}
	line, _, ended := bytes.Cut(text, []byte("\n"))
	sum, body, _ := bytes.Cut(line, []byte(" "))
	if want := fmt.Sprintf("%08x", crc32.Checksum(body, castagnoli)); !ended || string(sum) != want {
		return l, fmt.Errorf("%s cannot be read: it is cut short; the next run makes it anew", path)
	}
	if err := json.Unmarshal(body, &l); err != nil {
		return l, fmt.Errorf("%s cannot be read: %w; the next run makes it anew", path, err)
	}
	return l, nil
}
