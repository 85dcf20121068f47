package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

func TestSetupOfDataCenter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, secret string
		args         []string
		auth         string
	}{
		{"with a personal access token", atlassiantest.DefaultPersonal, []string{"--auth", "personal_access_token"},
			"      type: personal_access_token\n      personal_access_token: " + atlassiantest.DefaultPersonal + "\n"},
		{"with a password", atlassiantest.DefaultPassword, []string{"--auth", "basic", "--username", atlassiantest.DefaultUsername},
			"      type: basic\n      username: " + atlassiantest.DefaultUsername + "\n      password: " + atlassiantest.DefaultPassword + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := dataCenterSite(t)
			conf, args := s.setup(append([]string{"--site", s.url + "/confluence/display/A/B", "--secret-file", secretFile(t, tt.secret)}, tt.args...)...)
			got := start(t, "", args...)
			if got.Status != 0 || got.Err != "" || !strings.Contains(got.Out, s.url+"/confluence is Confluence Data Center, version 9.2.1.\n") || !strings.Contains(got.Out, "confluence: read the newest audit record, of 20") {
				t.Fatalf("outcome %+v", got)
			}
			want := "  - site: <URL>/confluence\n    deployment: data_center\n    products: [confluence]\n    auth:\n" + tt.auth + "    min_collection_interval: 60\n"
			if text := s.golden(conf); !strings.Contains(text, want) {
				t.Errorf("the file is %s", text)
			}
			s.valid(conf)
			s.collects(conf, 20)
		})
	}
}

// TestSetupOfAuditLogFiles: nothing is asked of the site, and status asks for no
// credential's end afterwards.
func TestSetupOfAuditLogFiles(t *testing.T) {
	t.Parallel()
	s, logs := dataCenterSite(t), t.TempDir()
	s.server.LogTo(atlassiantest.Confluence, logs, 10_000)
	s.server.AddBurst(atlassiantest.Confluence, 5, time.Now().Add(-time.Minute))
	conf, args := s.setup("--site", s.url+"/confluence", "--products", "confluence", "--audit-log-path", logs)
	args = slices.Delete(args, 5, 9) // it has neither gateway nor authorisation server
	got := start(t, "", args...)
	if got.Status != 0 || got.Err != "" || !strings.Contains(got.Out, "confluence: read the newest audit record, of 20") {
		t.Fatalf("outcome %+v", got)
	}
	want := "  - site: <URL>/confluence\n    deployment: data_center\n    products: [confluence]\n    audit_log_path: " + logs + "\n    min_collection_interval: 60\n"
	if text := s.golden(conf); !strings.Contains(text, want) {
		t.Errorf("the file is %s", text)
	}
	s.valid(conf)
	s.collects(conf, 5)
	if got := start(t, "", "status", "--conf", conf); got.Status != 0 || !strings.Contains(got.Out, "\n  credential: none is needed: audit log files are read\n") {
		t.Errorf("status: %+v", got)
	}
	if n := len(s.server.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// dataCenterSite is a simulated Data Center with both products.
func dataCenterSite(t *testing.T) *site {
	t.Helper()
	s := atlassiantest.New(atlassiantest.Options{Seed: 1, DataCenter: &atlassiantest.DataCenter{}})
	s.Fill(40, 6*time.Hour)
	url, shut, err := s.Listen("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shut(); err != nil {
			t.Error(err)
		}
	})
	return &site{t, s, url, strings.TrimPrefix(url, "http://"), filepath.Join(t.TempDir(), "run")}
}
