package atlassian_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/auth"
)

// TestServiceAccount: one token for a run, none fetched while it lasts, a new
// one when it is revoked, and no request for it counted as one for records.
func TestServiceAccount(t *testing.T) {
	t.Parallel()
	server := atlassiantest.New(atlassiantest.Options{Seed: 5})
	server.AddBurst("jira", 3, time.Now().Add(-time.Hour))
	path := filepath.Join(t.TempDir(), "tokens.db")
	tokens := func() int { return server.Count(atlassiantest.KindToken) }
	page := func() *atlassian.Source {
		t.Helper()
		c := client(t, server.Transport(), serviceAccount(t, auth.NewStore(path, time.Now)))
		s := c.Source(audit.Jira, atlassiantest.DefaultCloudID, "")
		for range 2 {
			if p, err := s.Page(t.Context(), audit.Query{}); err != nil || len(p.Records) != 3 {
				t.Fatalf("%d records, %v", len(p.Records), err)
			}
		}
		return s
	}
	if s := page(); s.Requests() != 2 || tokens() != 1 {
		t.Errorf("first run: %d requests, %d tokens", s.Requests(), tokens())
	}
	if s := page(); s.Requests() != 2 || tokens() != 1 {
		t.Errorf("second run: %d requests, %d tokens", s.Requests(), tokens())
	}
	server.RevokeTokens()
	if s := page(); s.Requests() != 3 || tokens() != 2 {
		t.Errorf("after all tokens were revoked: %d requests, %d tokens", s.Requests(), tokens())
	}

	server.SetSecret(atlassiantest.Client, "another")
	server.RevokeTokens()
	c := client(t, server.Transport(), serviceAccount(t, auth.NewStore(path, time.Now)))
	_, err := c.Source(audit.Jira, atlassiantest.DefaultCloudID, "").Page(t.Context(), audit.Query{})
	var e *atlassian.Error
	if !errors.As(err, &e) || e.Code != auth.CodeClient || !e.NeedsPerson() || strings.Contains(err.Error(), atlassiantest.DefaultClientSecret) {
		t.Errorf("error %v, want %s", err, auth.CodeClient)
	}
}

func TestCloudID(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		action *atlassiantest.Action
		code   string
	}{
		"the site's id":          {nil, ""},
		"a site that is not one": {ptr(atlassiantest.Answer(404, "<html>no such site</html>", "Content-Type", "text/html")), atlassian.CodeCloudID},
		"a web page":             {ptr(atlassiantest.LoginPage()), atlassian.CodeCloudID},
		"a redirect":             {ptr(atlassiantest.Redirect("https://www.atlassian.com/")), atlassian.CodeCloudID},
		"no UUID":                {ptr(atlassiantest.Answer(200, `{"cloudId":"../../x"}`)), atlassian.CodeCloudID},
		"no id":                  {ptr(atlassiantest.Answer(200, `{}`)), atlassian.CodeCloudID},
		"no JSON":                {ptr(atlassiantest.Answer(200, `{`)), atlassian.CodeCloudID},
		"a site that is down":    {ptr(atlassiantest.ServerError(500)), atlassian.CodeUnavailable},
		"a wait":                 {ptr(atlassiantest.RateLimit(time.Minute, atlassiantest.RetrySeconds)), atlassian.CodeQuota},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := atlassiantest.New(atlassiantest.Options{})
				if tc.action != nil {
					server.Fault(atlassiantest.Fault{Kind: atlassiantest.KindTenantInfo, Action: *tc.action})
				}
				c := client(t, server.Transport(), basic(t, atlassiantest.DefaultClassicToken))
				var id string
				var err error
				for range 2 {
					id, err = c.CloudID(t.Context())
				}
				for _, r := range server.Requests() {
					if r.Auth != atlassiantest.AuthNone {
						t.Errorf("%s was sent for the cloudId", r.Auth)
					}
				}
				if tc.code == "" {
					if err != nil || id != atlassiantest.DefaultCloudID || len(server.Requests()) != 1 {
						t.Fatalf("id %q after %d requests, %v", id, len(server.Requests()), err)
					}
					return
				}
				var e *atlassian.Error
				if !errors.As(err, &e) || e.Code != tc.code || id != "" {
					t.Fatalf("id %q, error %v, want %s", id, err, tc.code)
				}
				if tc.code == atlassian.CodeCloudID && (!e.NeedsPerson() || !strings.Contains(err.Error(), "check `site`")) {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

func TestGatewayNeedsACloudID(t *testing.T) {
	t.Parallel()
	server := atlassiantest.New(atlassiantest.Options{})
	c := client(t, server.Transport(), serviceAccount(t, nil))
	_, err := c.Source(audit.Jira, "", "").Page(t.Context(), audit.Query{})
	var e *atlassian.Error
	if !errors.As(err, &e) || e.Code != atlassian.CodeCloudID || len(server.Requests()) != 0 {
		t.Errorf("error %v after %d requests", err, len(server.Requests()))
	}
}
