package soak

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

var (
	records = flag.Int("soak.records", 3_000, "how many records the day has")
	length  = flag.Duration("soak.length", 2*time.Hour, "how long the day is")
)

const (
	seed  = 20261123
	spool = 256 << 20
)

// limits of what a run may hold, and of what a day may leave.
const (
	memoryOfARun = 48 << 20
	memoryLeft   = 4 << 20
	diskSlack    = 128 << 20 // states, copies, and the files that are written to
)

// TestADayOfABusySite is the whole of it.
func TestADayOfABusySite(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(run, 0o755); err != nil {
		t.Fatal(err)
	}
	before := live()
	began := time.Now()
	var m measures
	synctest.Test(t, func(t *testing.T) { m = day(t, run) })
	left := live() - before
	t.Logf("%d records in %s: %d runs, %d requests, %d answers failed, %d lines delivered, %d of them again", *records, time.Since(began).Round(time.Second), m.runs, m.requests, m.failed, m.lines, m.again)
	t.Logf("memory of a run: at most %.1f MiB in the first quarter, %.1f MiB in the last; left behind: %.1f MiB", mib(slices.Max(m.memory[0])), mib(slices.Max(m.memory[3])), mib(left))
	t.Logf("disk: at most %.1f MiB in the first half, %.1f MiB in the second, states %.1f MiB; open files: %d at first, at most %d", mib(m.disk[0]), mib(m.disk[1]), mib(m.state), m.files[0], m.files[1])

	first, last := slices.Max(m.memory[0]), slices.Max(m.memory[3])
	if last > memoryOfARun || last > first*3/2+(4<<20) {
		t.Errorf("a run held %.1f MiB in the last quarter, and %.1f MiB in the first", mib(last), mib(first))
	}
	if left > memoryLeft {
		t.Errorf("%.1f MiB are left behind", mib(left))
	}
	if m.files[1] > m.files[0]+2 {
		t.Errorf("%d files were open at first, and %d later", m.files[0], m.files[1])
	}
	if m.disk[1] > spool+diskSlack+m.state {
		t.Errorf("%.1f MiB lie on the disk: the spool may have %.1f, and the states have %.1f", mib(m.disk[1]), mib(spool), mib(m.state))
	}
	if m.goroutines > 0 {
		t.Errorf("%d goroutines are left between two runs", m.goroutines)
	}
}

// measures are what a day came to.
type measures struct {
	runs, requests, failed, lines, again int
	// memory is what runs held beyond what there was before them, by quarters.
	memory [4][]int64
	// disk is the most that lay on it, in the first and second half; state what of
	// it the states were in the end.
	disk  [2]int64
	state int64
	// files are the open ones after the first run, and the most after any.
	files      [2]int
	goroutines int
}

// world is a site, a machine and its Agent.
type world struct {
	t       *testing.T
	site    *atlassiantest.Server
	config  *check.Config
	options check.Options
	agent   *tailer
	keys    map[string][]byte
	run     string
	// peak is the most memory seen during a run that is measured, cut the request at
	// which a run is cut short; 0 for neither.
	measured bool
	peak     int64
	cut      atomic.Int64
	cancel   context.CancelFunc
	m        measures
}

// day is the day itself: a run each minute.
func day(t *testing.T, run string) measures {
	t.Helper()
	w := newWorld(t, run)
	traffic := atlassiantest.NewTraffic(w.site, atlassiantest.TrafficOptions{
		Seed: seed, Rate: float64(*records) / length.Seconds(), Bursts: 0.05, BurstSize: 8, Late: 0.01, LateBy: 10 * time.Minute,
	})
	w.site.Fault(atlassiantest.Fault{Probability: 0.005, Action: atlassiantest.ServerError(http.StatusInternalServerError)})
	minutes := int(*length / time.Minute)
	outage := [2]int{minutes * 5 / 12, minutes*5/12 + min(120, minutes/6)}
	var down *atlassiantest.Armed
	var want map[string]int
	for i := range minutes {
		time.Sleep(time.Minute)
		traffic.Advance()
		switch i {
		case outage[0]:
			down = w.site.Fault(atlassiantest.Fault{Kind: atlassiantest.AnyKind, Action: atlassiantest.Reset()})
		case outage[1]:
			down.Disarm()
		case minutes / 4, minutes / 2, minutes * 3 / 4:
			// A restart in the midst of a run, and of a delivery.
			w.cut.Store(2)
			w.agent.restart()
		}
		hour := i%max(1, minutes/24) == 0 && (i < outage[0] || i > outage[1])
		w.minute(i, minutes, hour)
	}
	w.site.ClearFaults()
	for range 45 { // what is behind, and what is under way
		time.Sleep(time.Minute)
		w.minute(minutes-1, minutes, false)
	}
	want = map[string]int{}
	for _, p := range []string{atlassiantest.Jira, atlassiantest.Confluence} {
		want[p] = len(w.site.Records(p))
		if lost := w.agent.got.missing(p, want[p]); lost > 0 {
			t.Errorf("%s: %d of %d records never arrived", p, lost, want[p])
		}
	}
	w.m.lines, w.m.again = w.agent.got.lines, w.agent.got.again
	if n := w.agent.got.strange; n > 0 {
		t.Errorf("%d lines are of no record", n)
	}
	if w.m.again > 0 {
		t.Errorf("%d lines arrived again", w.m.again)
	}
	for _, p := range []string{"jira", "confluence"} {
		info, err := os.Stat(filepath.Join(run, "atlassian_audit_records", "state", "example.atlassian.net", p+".db"))
		if err != nil {
			t.Fatal(err)
		}
		w.m.state += 2 * info.Size() // the copy is no larger
	}
	return w.m
}

func newWorld(t *testing.T, run string) *world {
	t.Helper()
	site := atlassiantest.New(atlassiantest.Options{Seed: seed, LogSize: 1})
	config, err := check.Parse([]byte(fmt.Sprintf("spool_max_size: %dMiB", spool>>20)), []byte("site: "+atlassiantest.DefaultSiteURL+
		"\nmin_collection_interval: 60\nauth: {type: api_token, email: "+atlassiantest.DefaultEmail+", api_token: "+atlassiantest.DefaultClassicToken+"}\n"), check.Env{RunPath: run})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, site: site, config: config, run: run, agent: newTailer(run),
		options: check.Options{
			Agent: check.AgentInfo{Version: "7.77.0", RunPath: run}, Version: "soak", Transport: site.Transport(), RequestsPerSecond: -1,
			FreeSpace: func(string) (int64, error) { return 1 << 40, nil },
		},
		keys: map[string][]byte{},
	}
	for _, p := range []string{atlassiantest.Jira, atlassiantest.Confluence} {
		key, _, _ := strings.Cut(atlassiantest.NewCorpus(seed+1).Record(p, time.Now()).Key, "-")
		w.keys[p] = []byte(key + "-")
	}
	site.OnAnswer(func(i atlassiantest.RequestInfo) {
		w.m.requests++
		if i.Status >= 500 {
			w.m.failed++
		}
		if w.measured {
			w.peak = max(w.peak, live())
		}
		if w.cut.Load() > 0 && w.cut.Add(-1) == 0 {
			w.cancel()
		}
	})
	return w
}

// minute is a run of the check, and then the Agent's part.
func (w *world) minute(i, minutes int, measured bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.cancel = cancel
	w.measured, w.peak = measured, 0
	var base int64
	if measured {
		base = live()
	}
	check.Run(ctx, w.config, w.options, &check.Recorder{}) // may fail: what it could not do, the next one does
	synctest.Wait()
	w.m.runs++
	if measured && w.peak > 0 {
		quarter := min(3, 4*i/minutes)
		w.m.memory[quarter] = append(w.m.memory[quarter], w.peak-base)
	}
	if err := w.agent.work(time.Now(), w.keys); err != nil {
		w.t.Fatal(err)
	}
	size, _, err := footprint(w.run, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	half := min(1, 2*i/minutes)
	w.m.disk[half] = max(w.m.disk[half], size)
	open := openFiles()
	if w.m.runs == 1 {
		w.m.files[0] = open
		w.m.goroutines = -runtime.NumGoroutine()
	}
	w.m.files[1] = max(w.m.files[1], open)
	if w.m.runs == minutes {
		w.m.goroutines += runtime.NumGoroutine()
	}
}

// live is how many bytes of memory are in use, garbage aside.
func live() int64 {
	runtime.GC()
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64())
}

// openFiles is how many files the process has open; 0 where the system does not tell.
func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }
