//go:build cgo && linux

package native

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheProgramIsGivenTheRequestAndNothingElse(t *testing.T) {
	t.Parallel()
	p := newProgram(t, "seen", good)
	kept := []string{"HOME=/root", "PATH=/usr/bin:/bin", "SSL_CERT_FILE=/etc/ca.pem", "TMPDIR=/tmp", "https_proxy=http://p:2", "NO_PROXY=localhost",
		"DD_RUN_PATH=/data/run", "DD_LOGS_CONFIG_RUN_PATH=/data/logs", "DD_LOGS_ENABLED=true", "DD_PROXY_HTTPS=http://p:3",
		"KUBERNETES_SERVICE_HOST=10.0.0.1", "KUBERNETES_SERVICE_PORT=443"}
	dropped := []string{"DD_API_KEY=0123456789abcdef0123456789abcdef", "DD_APP_KEY=e", "LD_LIBRARY_PATH=/x", "GODEBUG=x=1", "AWS_SECRET_ACCESS_KEY=k", "TEMP=",
		"DD_PROXY_HTTPS_OTHER=x", "XPATH=/x", "PATHEXT=.x", "ATLASSIAN_AUDIT_RECORDS_REQUEST={}"}
	in := p.of("quoted: \"a\\\\b\ttab\"\nname: équipe 東\n")
	r := do(t, job{Instances: []instance{in}, Keep: true, Leave: 5}, append(slices.Clone(kept), dropped...))
	if r.Runs[0].Error != nil {
		t.Fatalf("the run failed: %s", *r.Runs[0].Error)
	}
	seen := p.seen()
	if diff := cmp.Diff([]string{"collect"}, seen["argument"]); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	slices.Sort(kept)
	slices.Sort(seen["environment"])
	if diff := cmp.Diff(kept, seen["environment"]); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"0 1 2"}, seen["descriptors"]); diff != "" {
		t.Errorf("open descriptors (-want +got):\n%s", diff)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(strings.Join(seen["request"], "")), &got); err != nil {
		t.Fatalf("the request is not JSON: %v", err)
	}
	want := map[string]any{"protocol": 1.0, "check_id": checkID, "check_name": "atlassian_audit_records", "init_config": in.InitConfig,
		"instance": in.Instance, "agent": map[string]any{"datadog_conf": "/etc/datadog-agent/datadog.yaml"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestTheProgramIsInAGroupOfItsOwnAndHasNoSignalBlockedOrIgnored(t *testing.T) {
	t.Parallel()
	p := newProgram(t, "seen", good)
	if _, failed := p.once(job{IgnoreChildren: true}); failed != "" { // SIGCHLD is ignored in the host
		t.Fatalf("the run failed: %s", failed)
	}
	seen := p.seen()
	if diff := cmp.Diff([]string{"own"}, seen["group"]); diff != "" {
		t.Errorf("process group (-want +got):\n%s", diff)
	}
	for _, set := range []string{"SigBlk", "SigIgn"} {
		mask, err := strconv.ParseUint(strings.Join(seen[set], ""), 16, 64)
		if err != nil {
			t.Fatalf("%s: %v", set, err)
		}
		const libcsOwn = 1<<31 | 1<<32 // 32 and 33: libc ignores them in every process that it starts
		if mask &^= libcsOwn; mask != 0 {
			t.Errorf("%s is %x", set, mask)
		}
	}
}

func TestEndings(t *testing.T) {
	t.Parallel()
	megabyte := strings.Repeat("x", 1<<20)
	for _, tt := range []struct {
		name, play, stderr string
		lines              []string
		job                job
		more               string // of the instance
		want               string // of the error; "" is a good run
	}{
		{name: "a result decides whatever the exit status", play: "status=137", lines: []string{good}},
		{name: "the first line of standard error is told, where there is no result", play: "status=2", stderr: "\nout of memory\nmore of it",
			want: "^P ended with exit status 2 before it gave a result: out of memory\\. Run `P version` as"},
		{name: "no secret of standard error is", play: "status=2", stderr: "panic: " + secret, want: "result: panic: \\*{8}\\. Run"},
		{name: "a signal is told", play: "signal=9", want: "^P was ended by signal 9 before it gave a result\\. Run"},
		{name: "much on standard error is no deadlock", stderr: strings.Repeat(megabyte, 2), lines: []string{good}},
		{name: "a large request arrives", more: "large: " + strings.Repeat(megabyte, 7) + "\n", lines: []string{good}, play: "seen"},
		{name: "one that is too large for the program is refused", more: "large: " + strings.Repeat(megabyte, 8) + "\n", lines: []string{good}, play: "seen",
			want: "^The configuration of this instance makes a request of 8193 KiB, and at most 8192 KiB can be handed to atlassian-audit-records: shorten it\\.$"},
		{name: "a program that does not read is no deadlock", play: "deaf", more: "large: " + strings.Repeat(megabyte, 4) + "\n", lines: []string{good}},
		{name: "nor one that neither reads nor ends", play: "deaf hang", more: "large: " + megabyte + "\n", job: job{Library: "hasty"}, want: "^P did not end within 1 s and was killed"},
		{name: "a program that hangs is killed at the deadline", play: "hang", job: job{Library: "hasty"}, want: "^P did not end within 1 s and was killed: nothing is lost"},
		{name: "its result counts, where it gave one before", play: "hang", job: job{Library: "hasty"}, lines: []string{good}},
		{name: "a program that writes without end is killed", play: "flood", want: "^P wrote more than 64 MiB and was killed\\."},
		{name: "one that closes its output and goes on is waited for", play: "mute status=4", want: "^P ended with exit status 4 before"},
		{name: "a process that it leaves behind does not hold up the run", play: "orphan", lines: []string{good}},
		{name: "a host that has no standard input is the same", job: job{CloseStandard: true}, lines: []string{good}, play: "seen"},
		{name: "a host in which exit statuses are lost goes by the result", job: job{IgnoreChildren: true}, lines: []string{good}},
		{name: "and says what it knows without one", job: job{IgnoreChildren: true}, want: "^P ended before it gave a result\\. Run"},
		{name: "unloading the library does not end a run under way", play: "mute", lines: nil, job: job{Unload: true}, want: "^P ended with exit status 0 before"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProgram(t, tt.play, tt.lines...)
			p.beside(".err", tt.stderr)
			tt.job.Instances = []instance{p.of(tt.more)}
			if tt.job.Library == "hasty" {
				tt.job.Library = built.hasty
			}
			r, failed := p.once(tt.job)
			if want := strings.ReplaceAll(tt.want, "P ", regexp.QuoteMeta(p.path)+" "); want == "" && failed != "" || !regexp.MustCompile(want).MatchString(failed) {
				t.Errorf("error %q, want %q", failed, tt.want)
			}
			if len(r.After.Children) > 0 {
				t.Errorf("children left: %v", r.After.Children)
			}
			if diff := cmp.Diff(without(r.Before.Descriptors), without(r.After.Descriptors)); diff != "" && !tt.job.Unload {
				t.Errorf("descriptors (-before +after):\n%s", diff)
			}
			if left := running(t, p.path); len(left) > 0 {
				t.Errorf("processes of the program are left: %v", left)
			}
			if tt.name == "a large request arrives" && len(strings.Join(p.seen()["request"], "")) < 7<<20 {
				t.Error("it was cut short")
			}
			if lines := strings.Count(r.stderr, "\n"); lines > 20 {
				t.Errorf("the host's log was filled with %d lines", lines)
			}
			if tt.want != "" && strings.Contains(tt.want, "shorten it") && len(p.seen()) > 0 {
				t.Error("the program was started all the same")
			}
		})
	}
}

// without leaves out the descriptors of the Go runtime in the host, which come when it needs them.
func without(descriptors []string) []string {
	return slices.DeleteFunc(slices.Clone(descriptors), func(d string) bool { return strings.Contains(d, "anon_inode:") })
}

// running are the processes of that program. What was killed may take a moment to be gone.
func running(t *testing.T, path string) []string {
	t.Helper()
	var left []string
	for until := time.Now().Add(10 * time.Second); ; {
		left = nil
		links, err := filepath.Glob("/proc/[0-9]*/exe")
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links {
			if target, err := os.Readlink(link); err == nil && target == path { // it may be gone already
				left = append(left, link)
			}
		}
		if len(left) == 0 || time.Now().After(until) {
			return left
		}
	}
}

func TestInstancesThatRunAtTheSameTimeDoNotMix(t *testing.T) {
	t.Parallel()
	var in []instance
	want := map[string][]call{}
	for i := range 24 {
		name := "metric." + strconv.Itoa(i)
		p := newProgram(t, "", `{"type": "metric", "metric_type": "gauge", "name": "`+name+`", "value": `+strconv.Itoa(i)+`}`, `{"type": "result", "error": "`+name+`"}`)
		one := p.of("")
		one.CheckID = "check:" + strconv.Itoa(i)
		in = append(in, one)
		want[one.CheckID] = []call{{Kind: "metric", CheckID: one.CheckID, Name: name, Number: float64(i), Tags: []string{}}}
	}
	r := do(t, job{Instances: in, Rounds: 5, Parallel: 8, Keep: true}, nil)
	if len(r.Runs) != 5*len(in) {
		t.Fatalf("%d runs, want %d", len(r.Runs), 5*len(in))
	}
	for _, run := range r.Runs {
		if diff := cmp.Diff(want[run.CheckID], run.Calls); diff != "" {
			t.Errorf("calls of %s (-want +got):\n%s", run.CheckID, diff)
		}
		if run.Error == nil || *run.Error != want[run.CheckID][0].Name {
			t.Errorf("%s has the error of another run", run.CheckID)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if r, _ := newProgram(t, "", good).once(job{}); r.Version != "1.2.3-test" {
		t.Errorf("version %q", r.Version)
	}
}
