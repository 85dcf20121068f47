package check

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/state"
)

const (
	personalAuth = "{type: personal_access_token, personal_access_token: " + atlassiantest.DefaultPersonal + "}"
	passwordAuth = "{type: basic, username: " + atlassiantest.DefaultUsername + ", password: " + atlassiantest.DefaultPassword + "}"
)

// inDataCenter runs test in a bubble with a Data Center that writes a record of
// every search of its audit log, three seconds later, and with records of the
// last hours in both products. Jira's files lie in logs.
func inDataCenter(t *testing.T, dc atlassiantest.DataCenter, test func(t *testing.T, w *world, logs string)) {
	t.Helper()
	run, logs := filepath.Join(t.TempDir(), "run"), t.TempDir()
	if err := os.Mkdir(run, 0o755); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := atlassiantest.New(atlassiantest.Options{Seed: 1, DataCenter: &dc})
		s.LogTo(atlassiantest.Jira, logs, 30_000)
		s.Fill(60, 6*time.Hour)
		for _, p := range both {
			s.UpdateQuirks(string(p), func(q *atlassiantest.Quirks) { q.SearchEvents, q.WriteDelay = !dc.Old, 3*time.Second })
		}
		pass(time.Minute)
		test(t, &world{t: t, server: s, run: run, options: Options{Version: "1.2.3", Transport: s.Transport(), RequestsPerSecond: -1}}, logs)
		if err := s.LogError(atlassiantest.Jira); err != nil {
			t.Fatal(err)
		}
	})
}

// onDataCenter is an instance of a product, with that in place of auth.
func (w *world) onDataCenter(site string, p audit.Product, how string) *Config {
	w.t.Helper()
	c, err := Parse(nil, []byte("site: "+site+"\ndeployment: data_center\nproducts: ["+string(p)+"]\nmin_collection_interval: 60\n"+how), Env{RunPath: w.run})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// lines are what the spool of a product holds, by record_id.
func (w *world) lines(p audit.Product) map[string]map[string]any {
	w.t.Helper()
	paths, err := filepath.Glob(spoolGlob(w.run, p))
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]map[string]any{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			w.t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var l map[string]any
			if err := json.Unmarshal(line, &l); err != nil {
				w.t.Fatal(err)
			}
			id := l["atlassian"].(map[string]any)["record_id"].(string)
			if out[id] != nil {
				w.t.Errorf("the record_id %s stands on two lines", id)
			}
			out[id] = l
		}
	}
	return out
}

// searches are the lines of searches of the audit log, by the name of who searched.
func searches(lines map[string]map[string]any) map[string]int {
	out := map[string]int{}
	for _, l := range lines {
		kind, _ := l["type"].(map[string]any)
		if author, ok := l["author"].(map[string]any); ok && kind["actionI18nKey"] == "atlassian.audit.event.action.audit.search" {
			name, _ := author["name"].(string)
			source, _ := l["source"].(string)
			out[name+" from "+source]++
		}
	}
	return out
}

// stored is how many records of the product are no searches.
func (w *world) stored(p audit.Product) int {
	n := 0
	w.server.Each(string(p), func(r atlassiantest.Stored) bool {
		if !r.Search {
			n++
		}
		return true
	})
	return n
}

func TestDataCenterIsCollected(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		dc   atlassiantest.DataCenter
		site string
		auth string
		p    audit.Product
	}{
		"Jira with a personal access token below a context path": {site: "https://products.example.com:8443/jira", auth: personalAuth, p: audit.Jira},
		"Confluence with a password below a context path":        {site: "https://products.example.com:8443/confluence", auth: passwordAuth, p: audit.Confluence},
		"Jira without a context path": {dc: atlassiantest.DataCenter{Paths: map[string]string{"jira": ""}}, site: "https://jira.example.com",
			auth: personalAuth, p: audit.Jira},
		"a Jira from before the events":       {dc: atlassiantest.DataCenter{Old: true}, site: "https://products.example.com/jira", auth: passwordAuth, p: audit.Jira},
		"a Confluence from before the events": {dc: atlassiantest.DataCenter{Old: true}, site: "https://products.example.com/confluence", auth: personalAuth, p: audit.Confluence},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inDataCenter(t, row.dc, func(t *testing.T, w *world, _ string) {
				c := w.onDataCenter(row.site, row.p, "auth: "+row.auth)
				for i := range 5 {
					w.server.AddBurst(string(row.p), 2, time.Now())
					w.runWell(c)
					if got := w.requests(); i > 0 && len(got) > 2 {
						t.Errorf("run %d made %d requests", i, len(got))
					}
					pass(time.Minute)
				}
				_, rec := w.runWell(c)
				short, _ := states(rec)
				if want := []string{"can_connect " + string(row.p) + " OK", "is_current " + string(row.p) + " OK"}; !slices.Equal(short, want) {
					t.Errorf("service checks %q", short)
				}
				lines := w.lines(row.p)
				if n := w.stored(row.p); len(lines) != n || n < 40 {
					t.Errorf("%d lines of %d records", len(lines), n)
				}
				for id, l := range lines {
					ours := l["atlassian"].(map[string]any)
					if ours["site"] != c.Host() || ours["cloud_id"] != "" || !strings.HasPrefix(id, c.Host()+c.Path()+":"+string(row.p)+":") || l["ddsource"] != row.p.LogSource() {
						t.Fatalf("a line says %v of itself", ours)
					}
					theirs, _ := ours["record"].(map[string]any)
					if _, moved := theirs["timestamp"].(string); !row.dc.Old && !moved {
						t.Fatalf("the record's own timestamp is not kept: %v", ours)
					}
				}
			})
		})
	}
}

func TestOurOwnSearchesAreLeftOutAndEverybodyElsesAreNot(t *testing.T) {
	t.Parallel()
	inDataCenter(t, atlassiantest.DataCenter{}, func(t *testing.T, w *world, _ string) {
		c := w.onDataCenter("https://products.example.com/jira", audit.Jira, "auth: "+personalAuth)
		ours := 0.0
		for range 12 {
			_, rec := w.runWell(c)
			n, _ := metric(rec, MetricOwnSearches, audit.Jira)
			ours += n
			pass(30 * time.Second)
			w.server.AddSearch("jira", "mallory", "203.0.113.66", time.Now(), 50)
			// Whoever has the token asks from elsewhere, and finds something else.
			w.server.AddSearch("jira", atlassiantest.DefaultUsername, "203.0.113.66", time.Now(), 7)
			pass(30 * time.Second)
		}
		w.runWell(c)
		lines := w.lines(audit.Jira)
		if diff := cmp.Diff(map[string]int{"mallory from 203.0.113.66": 12, atlassiantest.DefaultUsername + " from 203.0.113.66": 12}, searches(lines)); diff != "" {
			t.Errorf("searches delivered (-want +got):\n%s", diff)
		}
		if n := w.stored(audit.Jira); len(lines) != n {
			t.Errorf("%d lines of %d records", len(lines), n)
		}
		if asked := w.server.Count(atlassiantest.KindAudit); int(ours) < asked-4 || int(ours) > asked {
			t.Errorf("%g searches were counted as our own, of %d", ours, asked)
		}
	})
}

// TestASearchAtTheSameMomentIsNotTakenForOurs: somebody searches while we ask, and
// finds as many records.
func TestASearchAtTheSameMomentIsNotTakenForOurs(t *testing.T) {
	t.Parallel()
	inDataCenter(t, atlassiantest.DataCenter{}, func(t *testing.T, w *world, _ string) {
		c := w.onDataCenter("https://products.example.com/jira", audit.Jira, "auth: "+personalAuth)
		w.runWell(c)
		asked := w.position(c, audit.Jira).Asked
		for _, a := range asked {
			w.server.AddSearch("jira", "mallory", "203.0.113.66", time.UnixMilli(a.Until+1000), a.Count)
		}
		for range 3 {
			pass(time.Minute)
			w.runWell(c)
		}
		if diff := cmp.Diff(map[string]int{"mallory from 203.0.113.66": len(asked)}, searches(w.lines(audit.Jira))); diff != "" || len(asked) == 0 {
			t.Errorf("searches delivered (-want +got):\n%s", diff)
		}
	})
}

func TestADataCenterWithoutRecordsOfSearchesIsNotRemindedOfThemForEver(t *testing.T) {
	t.Parallel()
	inDataCenter(t, atlassiantest.DataCenter{}, func(t *testing.T, w *world, _ string) {
		w.server.UpdateQuirks("jira", func(q *atlassiantest.Quirks) { q.SearchEvents = false })
		c := w.onDataCenter("https://products.example.com/jira", audit.Jira, "auth: "+personalAuth)
		for range 100 {
			w.runWell(c)
			pass(time.Minute)
		}
		if p := w.position(c, audit.Jira); len(p.Asked) > 80 {
			t.Errorf("%d questions are remembered", len(p.Asked))
		}
	})
}

// position is what is remembered of a product.
func (w *world) position(c *Config, p audit.Product) audit.Position {
	w.t.Helper()
	store, _, err := state.Open(foldersOf(w.run, c.Name()).state(p), state.Options{Now: time.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = store.Close() }() // it was only read
	position, err := store.Position()
	if err != nil {
		w.t.Fatal(err)
	}
	return position
}

func TestWhichResourceThereIsIsFoundOutOnce(t *testing.T) {
	t.Parallel()
	inDataCenter(t, atlassiantest.DataCenter{Old: true}, func(t *testing.T, w *world, _ string) {
		c := w.onDataCenter("https://products.example.com/jira", audit.Jira, "auth: "+personalAuth)
		for i, want := range []int{1, 0, 0} {
			w.runWell(c)
			missed := 0
			for _, r := range w.requests() {
				if r.Status == 404 {
					missed++
				}
			}
			if missed != want {
				t.Errorf("run %d asked %d times for what is not there, want %d", i, missed, want)
			}
			pass(time.Minute)
		}
		if p := w.position(c, audit.Jira); p.Route != atlassian.RouteRecords {
			t.Errorf("the route %q is remembered", p.Route)
		}
	})
}

func TestFilesAndAPITogetherDeliverOnce(t *testing.T) {
	t.Parallel()
	inDataCenter(t, atlassiantest.DataCenter{}, func(t *testing.T, w *world, logs string) {
		api := w.onDataCenter("https://products.example.com/jira", audit.Jira, "auth: "+personalAuth)
		files := w.onDataCenter("https://products.example.com/jira", audit.Jira, "audit_log_path: "+logs)
		for i := range 12 {
			w.server.AddBurst("jira", 3, time.Now())
			w.server.AddTwins("jira", 2, time.Now())
			w.server.AddLate("jira", 1, 5*time.Minute)
			w.runWell([]*Config{api, files}[i%2])
			pass(time.Minute)
		}
		w.runWell(files)
		lines := w.lines(audit.Jira)
		if n := w.stored(audit.Jira); len(lines) != n {
			t.Errorf("%d lines of %d records", len(lines), n)
		}
		if got := searches(lines); len(got) > 0 {
			t.Errorf("searches were delivered: %v", got)
		}

		// Another machine, that reads the files alone, calls the same records so.
		other := &world{t: t, server: w.server, run: filepath.Join(filepath.Dir(w.run), "other"), options: w.options}
		if err := os.Mkdir(other.run, 0o755); err != nil {
			t.Fatal(err)
		}
		other.runWell(other.onDataCenter("https://products.example.com/jira", audit.Jira, "audit_log_path: "+logs))
		theirs := other.lines(audit.Jira)
		for id := range lines {
			if theirs[id] == nil {
				t.Fatalf("another machine has no record %s", id)
			}
		}
	})
}

func TestTwoProductsOfOneKindOnOneHostShareNothing(t *testing.T) {
	t.Parallel()
	inDataCenter(t, atlassiantest.DataCenter{Paths: map[string]string{"jira": "/one"}, Old: true}, func(t *testing.T, w *world, _ string) {
		one := w.onDataCenter("https://example.com/one", audit.Jira, "auth: "+personalAuth)
		w.runWell(one)
		n := len(w.lines(audit.Jira))

		// The other one numbers its records from the same id on.
		s := atlassiantest.New(atlassiantest.Options{Seed: 1, DataCenter: &atlassiantest.DataCenter{Paths: map[string]string{"jira": "/One"}, Old: true}})
		s.Fill(60, 6*time.Hour)
		w.options.Transport = s.Transport()
		_, rec := w.runWell(w.onDataCenter("https://example.com/One", audit.Jira, "auth: "+personalAuth))
		if got := len(w.lines(audit.Jira)); n == 0 || got != n+s.Len("jira") {
			t.Errorf("%d lines of one, and %d of both", n, got)
		}
		if tags := rec.ServiceChecks[0].Tags; !slices.Equal(tags, []string{"site:example.com", "context_path:/One", "product:jira"}) {
			t.Errorf("tags %q", tags)
		}
	})
}

func TestDiagnoseKnowsDataCenter(t *testing.T) {
	t.Parallel()
	inDataCenter(t, atlassiantest.DataCenter{}, func(t *testing.T, w *world, logs string) {
		m := w.newMachine("")
		for _, row := range []struct{ name, how, want string }{
			{"the API", "auth: " + personalAuth, "site ok, token jira ok, scopes jira skipped, permission jira ok, plan jira skipped, record jira ok"},
			{"a wrong token", "auth: {type: personal_access_token, personal_access_token: wrong}",
				"site ok, token jira failed token_rejected, scopes jira skipped, permission jira skipped, plan jira skipped, record jira skipped"},
			{"the files", "audit_log_path: " + logs, "site skipped, token jira skipped, scopes jira skipped, permission jira skipped, plan jira skipped, record jira ok"},
			{"files that are not there", "audit_log_path: " + logs + "/missing",
				"site skipped, token jira skipped, scopes jira skipped, permission jira skipped, plan jira skipped, record jira failed audit_log_files"},
		} {
			m.write("conf.d/atlassian_audit_records.d/conf.yaml",
				"init_config:\ninstances:\n  - site: https://products.example.com/jira\n    deployment: data_center\n    products: [jira]\n    "+row.how+"\n", 0o600)
			var got []string
			for _, s := range m.diagnose().Steps {
				if s.Name == "site" || slices.Contains(recordSteps, s.Name) {
					got = append(got, strings.Join(strings.Fields(strings.Join([]string{s.Name, string(s.Product), string(s.Status), s.Code}, " ")), " "))
				}
			}
			if diff := cmp.Diff(strings.Split(row.want, ", "), got); diff != "" {
				t.Errorf("%s: steps (-want +got):\n%s", row.name, diff)
			}
		}
	})
}

func TestFolderName(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, name := range []string{"example.com", "example.com:80", "example.com_80", "example.com/a", "example.com/A", "example.com/a/b", "example.com/a_b", "example.com:80/a", "[::1]:80/a"} {
		folder := folderName(name)
		if strings.ContainsAny(folder, `/\:`) {
			t.Errorf("%q becomes %q", name, folder)
		}
		if other, ok := seen[folder]; ok && name != "example.com_80" {
			t.Errorf("%q and %q both become %q", name, other, folder)
		}
		seen[folder] = name
	}
	if got := folderName("example.com:80"); got != "example.com_80" {
		t.Errorf("without a context path it is %q", got)
	}
}
