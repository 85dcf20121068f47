package atlassian

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
)

func TestDetect(t *testing.T) {
	t.Parallel()
	center := func(d atlassiantest.DataCenter) atlassiantest.Options { return atlassiantest.Options{DataCenter: &d} }
	root := map[string]string{atlassiantest.Confluence: ""}
	for name, tc := range map[string]struct {
		server  atlassiantest.Options
		address string
		cloud   bool
		product audit.Product
		base    string
		code    string
	}{
		"a Cloud site":                         {atlassiantest.Options{}, "https://example.atlassian.net", true, "", "https://example.atlassian.net", ""},
		"a page of a Cloud site":               {atlassiantest.Options{}, "https://example.atlassian.net/jira/software/projects/A/boards/1", true, "", "https://example.atlassian.net", ""},
		"Jira at a context path":               {center(atlassiantest.DataCenter{}), "https://dc.example.com/jira", false, audit.Jira, "https://dc.example.com/jira", ""},
		"a page of Confluence":                 {center(atlassiantest.DataCenter{}), "https://dc.example.com/confluence/display/A/B+C", false, audit.Confluence, "https://dc.example.com/confluence", ""},
		"Confluence at the root":               {center(atlassiantest.DataCenter{Paths: root}), "https://dc.example.com/pages/viewpage.action", false, audit.Confluence, "https://dc.example.com", ""},
		"Jira that shows no application links": {center(atlassiantest.DataCenter{NoManifest: true}), "https://dc.example.com/jira/", false, audit.Jira, "https://dc.example.com/jira", ""},
		"Confluence that shows none":           {center(atlassiantest.DataCenter{NoManifest: true}), "https://dc.example.com/confluence", false, "", "", CodeCloudID},
		"a path that nothing has":              {center(atlassiantest.DataCenter{}), "https://dc.example.com/else", false, "", "", CodeCloudID},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, err := url.Parse(tc.address)
			if err != nil {
				t.Fatal(err)
			}
			s := atlassiantest.New(tc.server)
			got, err := Detect(t.Context(), at, Options{Transport: s.Transport(), Now: time.Now, RequestsPerSecond: -1})
			if tc.code != "" {
				var e *Error
				if !errors.As(err, &e) || e.Code != tc.code || !e.NeedsPerson() {
					t.Errorf("found %+v, error %v", got, err)
				}
				return
			}
			if err != nil || got.Cloud() != tc.cloud || got.Product != tc.product || got.Base.String() != tc.base || !tc.cloud && got.Version == "" {
				t.Errorf("found %+v, base %v, error %v", got, got.Base, err)
			}
		})
	}
}

func TestDetectWhereNobodyAnswers(t *testing.T) {
	t.Parallel()
	at := &url.URL{Scheme: "https", Host: "example.atlassian.net"}
	s := atlassiantest.New(atlassiantest.Options{})
	s.Fault(atlassiantest.Fault{Kind: atlassiantest.AnyKind, Action: atlassiantest.Answer(407, "")})
	_, err := Detect(t.Context(), at, Options{Transport: s.Transport(), Now: time.Now, RequestsPerSecond: -1})
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeProxy || s.Count(atlassiantest.KindTenantInfo) != 1 {
		t.Errorf("error %v", err)
	}
}
