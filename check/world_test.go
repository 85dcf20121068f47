package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
)

// What an instance of the simulated site signs in with.
const (
	classicAuth = "{type: api_token, email: " + atlassiantest.DefaultEmail + ", api_token: " + atlassiantest.DefaultClassicToken + "}"
	scopedAuth  = "{type: api_token, email: " + atlassiantest.DefaultEmail + ", api_token: " + atlassiantest.DefaultScopedToken + "}"
	oauthAuth   = "{type: oauth, client_id: " + atlassiantest.DefaultAppID + ", client_secret: " + atlassiantest.DefaultAppSecret + "}"
	accountAuth = "{type: service_account, client_id: " + atlassiantest.DefaultClientID + ", client_secret: " + atlassiantest.DefaultClientSecret + "}"
)

// world is a simulated Atlassian and a machine with a run path, in a bubble of
// time of their own.
type world struct {
	t       *testing.T
	server  *atlassiantest.Server
	run     string
	options Options
}

// inWorld runs test in a bubble with records of the last hours in both products.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	run := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(run, 0o755); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := atlassiantest.New(atlassiantest.Options{Seed: 1})
		s.Fill(60, 6*time.Hour)
		time.Sleep(time.Minute)
		w := &world{t: t, server: s, run: run, options: Options{Version: "1.2.3", Transport: s.Transport(), RequestsPerSecond: -1}}
		test(t, w)
	})
}

// config is an instance with that auth and further options of its own.
func (w *world) config(auth string, more ...string) *Config {
	w.t.Helper()
	text := "site: " + atlassiantest.DefaultSiteURL + "\nmin_collection_interval: 60\ntags: [team:audit]\nauth: " + auth + "\n" + strings.Join(more, "\n")
	c, err := Parse(nil, []byte(text), Env{RunPath: w.run})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// runOnce is one run, and what it reported.
func (w *world) runOnce(c *Config) (Result, Recorded) {
	w.t.Helper()
	rec := &Recorder{}
	res := Run(w.t.Context(), c, w.options, rec)
	return res, rec.Recorded()
}

// runWell is one run that must end without an error.
func (w *world) runWell(c *Config) (Result, Recorded) {
	w.t.Helper()
	res, rec := w.runOnce(c)
	if res.Error != "" {
		w.t.Fatalf("the run failed: %s", res.Error)
	}
	return res, rec
}

// requests are those that the server has had since the last call.
func (w *world) requests() []atlassiantest.RequestInfo {
	all := w.server.Requests()
	w.server.ForgetRequests()
	return all
}

// kinds are the requests as short words, in their order.
func kinds(requests []atlassiantest.RequestInfo) []string {
	out := []string{}
	for _, r := range requests {
		word := string(r.Kind)
		if r.Audit() {
			word = r.Product + " at " + string(r.Route)
		}
		out = append(out, word)
	}
	return out
}

// wantAsked fails where Atlassian was asked for anything else since the last look.
func (w *world) wantAsked(allowed ...string) {
	w.t.Helper()
	for _, word := range kinds(w.requests()) {
		if !slices.Contains(allowed, word) {
			w.t.Errorf("it asked for %s", word)
		}
	}
}

// spooled are the record ids in the spool of a product, sorted.
func (w *world) spooled(p audit.Product) []string {
	w.t.Helper()
	paths, err := filepath.Glob(spoolGlob(w.run, p))
	if err != nil {
		w.t.Fatal(err)
	}
	ids := []string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			w.t.Fatal(err)
		}
		tags := "team:audit,site:example.atlassian.net"
		if p == audit.Organization {
			tags = "team:audit,organization:" + organizationID + ",site:api.atlassian.com"
		}
		for line := range bytes.Lines(text) {
			var l struct {
				DDTags    string `json:"ddtags"`
				Atlassian struct {
					RecordID string `json:"record_id"`
				} `json:"atlassian"`
			}
			if err := json.Unmarshal(line, &l); err != nil || l.Atlassian.RecordID == "" || l.DDTags != tags {
				w.t.Fatalf("%s holds the line %s (%v)", path, line, err)
			}
			ids = append(ids, l.Atlassian.RecordID)
		}
	}
	slices.Sort(ids)
	return ids
}

// wantSpooled fails unless every record of both products is in the spool once.
func (w *world) wantSpooled(products ...audit.Product) {
	w.t.Helper()
	for _, p := range products {
		ids := w.spooled(p)
		if once := slices.Compact(slices.Clone(ids)); len(once) != len(ids) {
			w.t.Errorf("%s: %d lines, but %d record ids", p, len(ids), len(once))
		}
		if n := len(w.server.Records(string(p))); n == 0 || len(ids) != n {
			w.t.Errorf("%s: %d records are in the spool, and %d at Atlassian", p, len(ids), n)
		}
	}
}

// states are the service checks as "name product STATUS", and their messages.
func states(rec Recorded) (short []string, messages map[string]string) {
	short, messages = []string{}, map[string]string{}
	for _, s := range rec.ServiceChecks {
		product := s.Tags[len(s.Tags)-1]
		key := strings.TrimPrefix(s.Name, "atlassian_audit_records.") + " " + strings.TrimPrefix(product, "product:")
		short = append(short, key+" "+[]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}[s.Status])
		messages[key] = s.Message
	}
	return short, messages
}

// wantStates fails unless the service checks are those, in that order, and answers with
// their messages.
func wantStates(t *testing.T, rec Recorded, want ...string) map[string]string {
	t.Helper()
	short, messages := states(rec)
	if diff := cmp.Diff(want, short); diff != "" {
		t.Errorf("service checks (-want +got):\n%s", diff)
	}
	return messages
}

// metric is a metric's value for a product, "" being the instance.
func metric(rec Recorded, name string, p audit.Product) (float64, bool) {
	for _, m := range rec.Metrics {
		if m.Name == MetricPrefix+name && (p == "") == !slices.ContainsFunc(m.Tags, func(s string) bool { return strings.HasPrefix(s, "product:") }) &&
			(p == "" || slices.Contains(m.Tags, "product:"+string(p))) {
			return m.Value, true
		}
	}
	return 0, false
}

// walk visits everything below the run path.
func (w *world) walk(visit func(path string, info fs.FileInfo)) {
	w.t.Helper()
	err := filepath.WalkDir(w.run, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			visit(path, info)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// everything is all that a run said, as one text.
func everything(res Result, rec Recorded) string {
	text, err := json.Marshal(struct {
		Result   Result
		Recorded Recorded
	}{res, rec})
	if err != nil {
		return fmt.Sprintf("%+v %+v: %v", res, rec, err)
	}
	return string(text)
}

// roundTrip is a transport that is a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// pass lets time go by in the bubble of testing/synctest that these tests run
// in: nobody waits for it.
func pass(d time.Duration) { time.Sleep(d) }
