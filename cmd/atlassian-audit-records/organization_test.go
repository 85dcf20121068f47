package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// TestInstancesOfDifferentKindsWorkSideBySide has a site and two organisations in
// one conf.yaml, one of which is refused: each does its own, in a process.
func TestInstancesOfDifferentKindsWorkSideBySide(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.server.Fill(30, 6*time.Hour, atlassiantest.Organization)
	organization := func(id string) string {
		return "\n  - organization: " + id + "\n    gateway: " + s.url +
			"\n    auth: {type: organization_api_key, organization_api_key: " + atlassiantest.DefaultOrganizationKey + "}"
	}
	conf := filepath.Join(t.TempDir(), "conf.yaml")
	text := "init_config:\ninstances:\n  - " + s.instance("    ") + organization(atlassiantest.DefaultOrganizationID) +
		organization("ffffffff-4e5f-4a6b-8c7d-9e0f1a2b3c4d") + "\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for round, want := range []map[string]float64{{"jira": 20, "confluence": 20, "organization": 30}, {"jira": 0, "confluence": 0, "organization": 5}} {
		got := start(t, "", "check", "--conf", conf, "--run-path", s.run, "--json")
		var answer struct {
			Runs []struct {
				Instance, Product string
				Records           float64
				Error             *string
			}
		}
		if err := json.Unmarshal([]byte(got.Out), &answer); err != nil {
			t.Fatalf("%v: %+v", err, got)
		}
		found, refused := map[string]float64{}, 0
		for _, r := range answer.Runs {
			if r.Error != nil {
				if refused++; !strings.Contains(*r.Error, "status 404") || !strings.HasPrefix(r.Instance, "ffffffff") {
					t.Errorf("%s of %s: %s", r.Product, r.Instance, *r.Error)
				}
				continue
			}
			found[r.Product] = r.Records
		}
		if diff := cmp.Diff(want, found); diff != "" || refused != 1 || got.Status != 1 {
			t.Errorf("round %d: records (-want +got):\n%s\n%d refused, status %d", round, diff, refused, got.Status)
		}
		s.server.AddBurst(atlassiantest.Organization, 5, time.Now())
	}
	if n := lines(t, s.run); n != 75 {
		t.Errorf("%d lines in the spool, want 75", n)
	}
	status := start(t, "", "status", "--conf", conf, "--run-path", s.run)
	for _, say := range []string{atlassiantest.DefaultOrganizationID, "organization_api_key", s.host} {
		if !strings.Contains(status.Out, say) {
			t.Errorf("status lacks %q: %s", say, status.Out)
		}
	}
	only := start(t, "", "check", "--conf", conf, "--run-path", s.run, "--json", "--instance-filter", atlassiantest.DefaultOrganizationID)
	if only.Status != 0 || strings.Contains(only.Out, "jira") {
		t.Errorf("with a filter: %+v", only)
	}
}
