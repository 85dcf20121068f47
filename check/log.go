package check

import (
	"context"
	"log/slog"

	"github.com/DataDog/datadog-agent/pkg/util/log"
	logslog "github.com/DataDog/datadog-agent/pkg/util/log/slog"
)

// logHandler hands the lines of the Agent's logging module to a Report. The
// module has taken out what its scrubber knows, and keeps its lock meanwhile.
type logHandler struct {
	report Report
	level  slog.Level
}

func (h logHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h logHandler) Handle(_ context.Context, r slog.Record) error {
	h.report.Log(logLevel(r.Level), r.Message)
	return nil
}

// WithAttrs and WithGroup are never called by the module, which knows only messages.
func (h logHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h logHandler) WithGroup(string) slog.Handler      { return h }

// logLevel is the word of the protocol for a level of the module's.
func logLevel(l slog.Level) string {
	switch {
	case l < slog.LevelDebug:
		return "trace"
	case l < slog.LevelInfo:
		return "debug"
	case l < slog.LevelWarn:
		return "info"
	case l < slog.LevelError:
		return "warning"
	case l < slog.Level(log.CriticalLvl):
		return "error"
	}
	return "critical"
}

// SetupLog sends everything that is logged through the Agent's module
// (github.com/DataDog/datadog-agent/pkg/util/log) to r, from the given level
// up, scrubbed. The level is the Agent's word ("warning" and "warn" are one);
// an empty or unknown one means info, and "off" nothing. It must be called
// before anything is logged: the module writes errors to standard error until
// then. The module is one for the whole process, so that the last call counts.
func SetupLog(r Report, level string) {
	lvl, err := log.ValidateLogLevel(level)
	if err != nil {
		lvl = log.InfoLvl
	}
	log.SetupLogger(logslog.NewWrapper(logHandler{report: r, level: slog.Level(lvl)}), lvl.String())
}
