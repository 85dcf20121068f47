package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// TestInstancesOfDifferentKindsStandSideBySide runs a Cloud site, a Data Center
// product by its API, another by its files, one so old that it has the older
// resource alone, and an organisation, from one conf.yaml.
func TestInstancesOfDifferentKindsStandSideBySide(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	logs := t.TempDir()
	dataCenter := func(dc atlassiantest.DataCenter) (server *atlassiantest.Server, url string) {
		server = atlassiantest.New(atlassiantest.Options{Seed: 2, DataCenter: &dc})
		url, shut, err := server.Listen("")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := shut(); err != nil {
				t.Error(err)
			}
		})
		return server, url
	}
	now, nowURL := dataCenter(atlassiantest.DataCenter{})
	now.LogTo(atlassiantest.Confluence, logs, 10_000)
	now.Fill(30, 6*time.Hour)
	old, oldURL := dataCenter(atlassiantest.DataCenter{Old: true})
	old.Fill(20, 6*time.Hour)

	s.server.Fill(25, 6*time.Hour, atlassiantest.Organization)

	conf := s.conf("")
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	personal := "{type: personal_access_token, personal_access_token: " + atlassiantest.DefaultPersonal + "}"
	password := "{type: basic, username: " + atlassiantest.DefaultUsername + ", password: " + atlassiantest.DefaultPassword + "}"
	for _, in := range []struct{ site, product, how string }{
		{nowURL + "/jira", "jira", "auth: " + personal},
		{nowURL + "/confluence/", "confluence", "audit_log_path: '" + logs + "'"},
		{oldURL + "/jira", "jira", "auth: " + password},
	} {
		text = fmt.Appendf(text, "  - site: %s\n    deployment: data_center\n    products: [%s]\n    %s\n", in.site, in.product, in.how)
	}
	text = fmt.Appendf(text, "  - organization: %s\n    gateway: %s\n    auth: {type: organization_api_key, organization_api_key: %s}\n",
		atlassiantest.DefaultOrganizationID, s.url, atlassiantest.DefaultOrganizationKey)
	if err := os.WriteFile(conf, text, 0o600); err != nil {
		t.Fatal(err)
	}

	got := start(t, "", "check", "--conf", conf, "--run-path", s.run, "--check-times", "2", "--pause", "10", "--json")
	if got.Status != 0 || got.Err != "" {
		t.Fatalf("outcome %+v", got)
	}
	var answer struct {
		Runs []struct {
			Instance, Product string
			Records, Requests int
			Error             *string
		}
	}
	if err := json.Unmarshal([]byte(got.Out), &answer); err != nil {
		t.Fatal(err)
	}
	var runs []string
	for _, r := range answer.Runs {
		if r.Error != nil {
			t.Errorf("%s of %s: %s", r.Product, r.Instance, *r.Error)
		}
		asked := "asked"
		if r.Requests == 0 {
			asked = "read"
		}
		runs = append(runs, fmt.Sprint(asked, " ", r.Instance, " ", r.Product, " ", r.Records))
	}
	host := func(url string) string { return strings.TrimPrefix(url, "http://") }
	want := []string{}
	for _, n := range [][]int{{20, 20, 15, 15, 10, 25}, {0, 0, 0, 0, 0, 0}} {
		want = append(want,
			fmt.Sprint("asked ", s.host, " jira ", n[0]), fmt.Sprint("asked ", s.host, " confluence ", n[1]),
			fmt.Sprint("asked ", host(nowURL), "/jira jira ", n[2]), fmt.Sprint("read ", host(nowURL), "/confluence confluence ", n[3]),
			fmt.Sprint("asked ", host(oldURL), "/jira jira ", n[4]),
			fmt.Sprint("asked ", atlassiantest.DefaultOrganizationID, " organization ", n[5]))
	}
	if diff := cmp.Diff(want, runs); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}

	// Whose a line is, is on the line.
	of := map[string]int{}
	for _, source := range []string{"jira-audit-records", "confluence-audit-records", "atlassian-event-logs"} {
		paths, err := filepath.Glob(filepath.Join(s.run, "atlassian_audit_records", "spool", source, "*.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			lines, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(lines)) {
				var l struct {
					DDTags    string
					Atlassian struct{ Site, Product string }
				}
				if err := json.Unmarshal([]byte(line), &l); err != nil {
					t.Fatal(err)
				}
				of[l.Atlassian.Site+" "+l.Atlassian.Product+" "+l.DDTags]++
			}
		}
	}
	if diff := cmp.Diff(map[string]int{
		s.host + " jira site:" + s.host:                                                                  20,
		s.host + " confluence site:" + s.host:                                                            20,
		host(nowURL) + " jira context_path:/jira,site:" + host(nowURL):                                   15,
		host(nowURL) + " confluence context_path:/confluence,site:" + host(nowURL):                       15,
		host(oldURL) + " jira context_path:/jira,site:" + host(oldURL):                                   10,
		s.host + " organization organization:" + atlassiantest.DefaultOrganizationID + ",site:" + s.host: 25,
	}, of); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}

	status := start(t, "", "status", "--conf", conf, "--run-path", s.run)
	diagnose := start(t, "", "diagnose", "--conf", conf, "--run-path", s.run)
	for _, name := range []string{s.host, host(nowURL) + "/jira", host(nowURL) + "/confluence", host(oldURL) + "/jira", atlassiantest.DefaultOrganizationID} {
		if !strings.Contains(status.Out, name+" (conf.yaml: instances[") {
			t.Errorf("status says nothing of %s:\n%s", name, status.Out)
		}
		if !strings.Contains(diagnose.Out, "\n"+name+"\n") {
			t.Errorf("diagnose says nothing of %s:\n%s", name, diagnose.Out)
		}
	}
	if n := strings.Count(diagnose.Out, "[ok]   record: one was read\n"); n != 6 || strings.Contains(diagnose.Out, "simulated-") {
		t.Errorf("diagnose read a record of %d products, want 6:\n%s", n, diagnose.Out)
	}
}

func TestSimulateRefusesWhatACloudSiteLacks(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"an unknown deployment":           {"--deployment", "server"},
		"an older API on Cloud":           {"--old-api"},
		"audit log files of a Cloud site": {"--audit-log", "x"},
	} {
		if got := start(t, "", append([]string{"simulate", "--listen", "127.0.0.1:0"}, args...)...); got.Status != 1 || got.Err == "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
