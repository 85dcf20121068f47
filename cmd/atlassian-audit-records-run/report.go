package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/DataDog/datadog-agent/pkg/util/log"
	logslog "github.com/DataDog/datadog-agent/pkg/util/log/slog"

	"atlassian_audit_records/cmd/atlassian-audit-records-run/internal/schedule"
)

// stderrHandler writes what is logged to standard error, a line each. The
// Agent's module has scrubbed it, and keeps its lock meanwhile.
type stderrHandler struct{ level slog.Level }

func (h stderrHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// noRotation is of a warning that the Agent's modules have for every entry which
// is as it must be: the spool's files are never rotated.
const noRotation = "without fingerprinting may cause duplicate log reads during rotation"

func (h stderrHandler) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, noRotation) {
		return nil
	}
	word := "INFO"
	switch {
	case r.Level < slog.LevelInfo:
		word = "DEBUG"
	case r.Level >= slog.LevelError:
		word = "ERROR"
	case r.Level >= slog.LevelWarn:
		word = "WARN"
	}
	_, err := fmt.Fprintf(os.Stderr, "%s | %-5s | %s\n", r.Time.UTC().Format("2006-01-02 15:04:05 UTC"), word, strings.TrimRight(r.Message, "\n"))
	return err
}

func (h stderrHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h stderrHandler) WithGroup(string) slog.Handler      { return h }

// setupLog makes the Agent's modules, and this program, log from a level on.
func setupLog(level string) {
	lvl, err := log.ValidateLogLevel(level)
	if err != nil {
		lvl = log.InfoLvl
	}
	log.SetupLogger(logslog.NewWrapper(stderrHandler{slog.Level(lvl)}), lvl.String())
}

// repeated is how often what stays wrong is said again.
const repeated = time.Hour

// reporter logs what runs say. A service check is logged when its status
// changes, and what is said again and again once an hour.
type reporter struct {
	now func() time.Time

	mu     sync.Mutex
	status map[string]int
	said   map[string]time.Time
}

func newReporter(now func() time.Time) *reporter {
	return &reporter{now: now, status: map[string]int{}, said: map[string]time.Time{}}
}

func (r *reporter) report(j schedule.Job, l schedule.Line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch l.Type {
	case "service_check":
		r.serviceCheck(j, l)
	case "event":
		log.Warnf("%s: %s: %s", j.Name, l.Title, l.Text)
	case "warning":
		r.once(j, l.Message, func(text string) { log.Warnf("%s", text) })
	case "log":
		r.log(j, l)
	case "result":
		if l.Error != nil {
			r.once(j, *l.Error, func(text string) { log.Errorf("%s", text) })
		}
	}
}

func (r *reporter) serviceCheck(j schedule.Job, l schedule.Line) {
	words := []string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}
	tags := slices.Sorted(slices.Values(l.Tags))
	key := l.Name + " " + strings.Join(tags, ",")
	before, known := r.status[key]
	if l.Status < 0 || l.Status >= len(words) || known && before == l.Status {
		return
	}
	r.status[key] = l.Status
	text := fmt.Sprintf("%s is %s [%s]", l.Name, words[l.Status], strings.Join(tags, ", "))
	if l.Message != "" {
		text += ": " + l.Message
	}
	if l.Status == 0 {
		log.Infof("%s: %s", j.Name, text)
	} else {
		log.Warnf("%s: %s", j.Name, text)
	}
}

func (*reporter) log(j schedule.Job, l schedule.Line) {
	switch l.Level {
	case "trace", "debug":
		log.Debugf("%s: %s", j.Name, l.Message)
	case "warning":
		log.Warnf("%s: %s", j.Name, l.Message)
	case "error", "critical":
		log.Errorf("%s: %s", j.Name, l.Message)
	default:
		log.Infof("%s: %s", j.Name, l.Message)
	}
}

// once says a text unless it was said within the last hour.
func (r *reporter) once(j schedule.Job, text string, say func(string)) {
	now, key := r.now(), j.Name+": "+text
	for k, at := range r.said {
		if now.Sub(at) >= repeated {
			delete(r.said, k)
		}
	}
	if _, recently := r.said[key]; !recently {
		r.said[key] = now
		say(key)
	}
}
