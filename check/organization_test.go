package check

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
)

const organizationID = atlassiantest.DefaultOrganizationID

// organization is an instance about the simulated organisation.
func (w *world) organization(more ...string) *Config {
	w.t.Helper()
	text := "organization: " + organizationID + "\nmin_collection_interval: 60\ntags: [team:audit]\n" +
		"auth: {type: organization_api_key, organization_api_key: " + atlassiantest.DefaultOrganizationKey + "}\n" + strings.Join(more, "\n")
	c, err := Parse(nil, []byte(text), Env{RunPath: w.run})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestAnOrganisationIsCollectedBesideASite(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.server.Fill(450, 6*time.Hour, atlassiantest.Organization)
		sites := map[string]bool{}
		w.options.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.Contains(r.Header.Get("Authorization"), atlassiantest.DefaultOrganizationKey) {
				sites[r.URL.Host+" "+strings.TrimPrefix(r.URL.Path, "/admin/v1/orgs/"+organizationID)] = true
			}
			return w.server.Transport().RoundTrip(r)
		})
		w.runWell(w.config(classicAuth))
		res, rec := w.runWell(w.organization())
		want := []StreamResult{{Instance: organizationID, Product: audit.Organization, Records: 450}}
		res.Streams[0].Requests, res.Streams[0].Duplicates = 0, 0
		if diff := cmp.Diff(want, res.Streams); diff != "" {
			t.Errorf("result (-want +got):\n%s", diff)
		}
		tags := []string{"team:audit", "site:api.atlassian.com", "organization:" + organizationID, "product:organization"}
		for _, c := range rec.ServiceChecks {
			if c.Status != StatusOK || !slices.Equal(c.Tags, tags) {
				t.Errorf("service check %+v, want tags %v", c, tags)
			}
		}
		if len(rec.ServiceChecks) != 2 {
			t.Errorf("service checks %+v", rec.ServiceChecks)
		}
		// The key went to the gateway's log and nowhere else.
		if diff := cmp.Diff(map[string]bool{"api.atlassian.com /events-stream": true}, sites); diff != "" {
			t.Errorf("where the key was sent (-want +got):\n%s", diff)
		}
		for range 3 {
			pass(time.Minute)
			w.server.AddBurst(atlassiantest.Organization, 7, time.Now())
			if res, _ := w.runWell(w.organization("service: other")); res.Streams[0].Records != 7 || res.Streams[0].Requests > 3 {
				t.Errorf("a later run: %+v", res.Streams[0])
			}
		}
		ids := w.spooled(audit.Organization)
		if n := len(slices.Compact(ids)); n != 471 {
			t.Errorf("%d different record ids in the spool, want 471", n)
		}
	})
}

func TestALineOfAnOrganisation(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.server.AddBurst(atlassiantest.Organization, 1, time.Now())
		raw := w.server.Records(atlassiantest.Organization)[0]
		w.runWell(w.organization())
		paths, err := filepath.Glob(spoolGlob(w.run, audit.Organization))
		if err != nil || len(paths) != 1 || !strings.Contains(paths[0], "/spool/atlassian-event-logs/") {
			t.Fatalf("the spool holds %q, %v", paths, err)
		}
		text, err := os.ReadFile(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		var line map[string]json.RawMessage
		var record map[string]json.RawMessage
		for to, from := range map[*map[string]json.RawMessage][]byte{&line: text, &record: raw.Raw} {
			if err := json.Unmarshal(from, to); err != nil {
				t.Fatal(err)
			}
		}
		var ours struct {
			Site         string                     `json:"site"`
			Organization string                     `json:"organization"`
			CloudID      string                     `json:"cloud_id"`
			Product      string                     `json:"product"`
			RecordID     string                     `json:"record_id"`
			Created      string                     `json:"created"`
			Record       map[string]json.RawMessage `json:"record"`
		}
		if err := json.Unmarshal(line["atlassian"], &ours); err != nil {
			t.Fatal(err)
		}
		var id string
		if err := json.Unmarshal(record["id"], &id); err != nil {
			t.Fatal(err)
		}
		if ours.Site != "api.atlassian.com" || ours.Organization != organizationID || ours.CloudID != "" || ours.Product != "organization" ||
			ours.RecordID != organizationID+":organization:"+id || ours.Created != raw.Created.Format("2006-01-02T15:04:05.000Z") {
			t.Errorf("atlassian is %+v", ours)
		}
		if !bytes.Equal(ours.Record["message"], record["message"]) || line["message"] != nil {
			t.Errorf("the event's message %s became %s", record["message"], ours.Record["message"])
		}
		var attributes struct {
			Action string
			Actor  struct{ ID string }
		}
		if err := json.Unmarshal(record["attributes"], &attributes); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(line["evt"]), `"name":"`+attributes.Action+`"`) || !strings.Contains(string(line["usr"]), `"id":"`+attributes.Actor.ID+`"`) {
			t.Errorf("usr is %s and evt %s, of %+v", line["usr"], line["evt"], attributes)
		}
		for name, value := range record {
			if name != "message" && !bytes.Equal(line[name], value) {
				t.Errorf("%s became %s, from %s", name, line[name], value)
			}
		}
		for name, want := range map[string]string{"ddsource": `"atlassian-event-logs"`, "service": `"atlassian"`,
			"ddtags": `"team:audit,organization:` + organizationID + `,site:api.atlassian.com"`} {
			if got := string(line[name]); got != want {
				t.Errorf("%s is %s, want %s", name, got, want)
			}
		}
	})
}

func TestWhatAnOrganisationIsRefusedWith(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		prepare func(*atlassiantest.Server)
		says    []string
	}{
		"its key expired": {func(s *atlassiantest.Server) { s.Revoke(atlassiantest.OrganizationKey) },
			[]string{"status 401", "organization_api_key", "https://admin.atlassian.com"}},
		"it has no Atlassian Guard": {func(s *atlassiantest.Server) { s.Deny(atlassiantest.Organization, atlassiantest.NoGuard) },
			[]string{"status 403", "Atlassian Guard (Standard or Premium)", "organisation administrator"}},
		"its key was made by no administrator": {func(s *atlassiantest.Server) { s.Deny(atlassiantest.Organization, atlassiantest.NotAdmin) },
			[]string{"status 403", "organisation administrator"}},
		"its key has another scope": {func(s *atlassiantest.Server) { s.SetScopes(atlassiantest.OrganizationKey, "read:users:admin") },
			[]string{"lacks a scope", "read:events:admin"}},
		"it is another organisation": {func(s *atlassiantest.Server) {
			s.Fault(atlassiantest.Fault{Action: atlassiantest.Answer(404, `{"errors":[{"title":"Not Found"}]}`)})
		}, []string{"status 404", "`organization`"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world) {
				w.server.Fill(20, time.Hour, atlassiantest.Organization)
				row.prepare(w.server)
				res, rec := w.runOnce(w.organization())
				for _, say := range append(row.says, "("+organizationID+", organization)") {
					if !strings.Contains(res.Error, say) {
						t.Errorf("the error lacks %q: %s", say, res.Error)
					}
				}
				if strings.Contains(res.Error, atlassiantest.DefaultOrganizationKey) {
					t.Errorf("the error shows the key: %s", res.Error)
				}
				if rec.ServiceChecks[0].Status != StatusCritical {
					t.Errorf("can_connect is %+v", rec.ServiceChecks[0])
				}
			})
		})
	}
}

func TestAnOrganisationIsRedacted(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.server.Fill(60, time.Hour, atlassiantest.Organization)
		w.runWell(w.organization("redact: {drop: [emails, ips]}"))
		paths, err := filepath.Glob(spoolGlob(w.run, audit.Organization))
		if err != nil || len(paths) != 1 {
			t.Fatalf("the spool holds %q, %v", paths, err)
		}
		text, err := os.ReadFile(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(text, []byte("\n")); n != 60 || bytes.Contains(text, []byte("@example.com")) || bytes.Contains(text, []byte("203.0.113.")) {
			t.Errorf("%d lines, with an address in them: %.600s", n, text)
		}
	})
}
