package schedule

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// asCollector makes the test binary a collector that behaves in some way.
const asCollector = "ATLASSIAN_AUDIT_RECORDS_TEST_COLLECTOR"

func TestMain(m *testing.M) {
	switch os.Getenv(asCollector) {
	case "":
		os.Exit(m.Run())
	case "good":
		_, _ = os.Stdout.WriteString(`{"type":"metric","name":"m"}` + "\nno JSON\n" + `{"type":"warning","message":"w"}` + "\n" + `{"type":"result","error":null}` + "\nmore\n")
	case "silent":
		os.Exit(3)
	case "stuck":
		select {} // until it is killed
	}
}

// runs lets a runner work until enough was reported.
func runs(t *testing.T, behaviour string, limit time.Duration, enough int) []Line {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var mu sync.Mutex
	var lines []Line
	r := Runner{Program: os.Args[0], Env: append(Environment(os.Environ()), asCollector+"="+behaviour), Report: func(_ Job, l Line) {
		mu.Lock()
		defer mu.Unlock()
		if lines = append(lines, l); len(lines) == enough {
			cancel()
		}
	}}
	first := 0
	r.Run(ctx, []Job{{Name: "j", Interval: 10 * time.Millisecond, Limit: limit, Request: []byte("{}")}}, func() { first++ })
	if first != 1 {
		t.Errorf("first was called %d times", first)
	}
	if len(lines) < enough {
		t.Fatalf("only %d lines were reported", len(lines))
	}
	return lines[:enough]
}

func TestAnAnswer(t *testing.T) {
	t.Parallel()
	want := []Line{{Type: "warning", Message: "w"}, {Type: "result"}, {Type: "warning", Message: "w"}, {Type: "result"}}
	if diff := cmp.Diff(want, runs(t, "good", time.Second, 4)); diff != "" {
		t.Errorf("two runs (-want +got)\n%s", diff)
	}
}

func TestARunWithoutAResult(t *testing.T) {
	t.Parallel()
	l := runs(t, "silent", time.Second, 1)[0]
	if l.Type != "result" || l.Error == nil || !strings.Contains(*l.Error, "ended without a result (exit status 3)") {
		t.Errorf("%+v", l)
	}
}

func TestARunThatHangs(t *testing.T) {
	t.Parallel()
	l := runs(t, "stuck", -overtime, 1)[0] // its time is over at once
	if l.Type != "result" || l.Error == nil || !strings.Contains(*l.Error, "did not end in its time") && !strings.Contains(*l.Error, "cannot be started") {
		t.Errorf("%+v", l)
	}
}

func TestAProgramThatIsNotThere(t *testing.T) {
	t.Parallel()
	r := Runner{Program: "/not/there", Report: func(_ Job, l Line) {
		if l.Error == nil || !strings.Contains(*l.Error, "/not/there cannot be started") {
			t.Errorf("%+v", l)
		}
	}}
	ctx, cancel := context.WithCancel(t.Context())
	r.Run(ctx, []Job{{Name: "j", Interval: time.Hour, Limit: time.Second}}, cancel)
}

func TestTheEnvironmentOfARun(t *testing.T) {
	t.Parallel()
	got := Environment([]string{"PATH=/bin", "DD_API_KEY=k", "https_proxy=p", "HOME=", "AWS_SECRET=x", "SSL_CERT_FILE=c", "odd"})
	if diff := cmp.Diff([]string{"PATH=/bin", "https_proxy=p", "SSL_CERT_FILE=c"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
