package atlassian

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReachTakesAnyAnswer(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 302, 401, 404, 500} {
		c := newTestClient(t, func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Authorization") != "" {
				t.Error("a credential was sent")
			}
			return reply(status, "", "Date: Mon, 02 Jan 2006 15:04:05 GMT"), nil
		})
		got, err := c.Reach(t.Context(), mustURL(t, "https://example.atlassian.net/x"))
		if err != nil || got.Status != status || got.Host != "example.atlassian.net" {
			t.Errorf("status %d: %+v, %v", status, got, err)
		}
		if _, known := c.Skew(); !known {
			t.Error("the time was not kept")
		}
	}
}

func TestReachJudgesSilence(t *testing.T) {
	t.Parallel()
	n := 0
	c := newTestClient(t, func(*http.Request) (*http.Response, error) {
		n++
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "example.atlassian.net", IsNotFound: true}}
	})
	_, err := c.Reach(t.Context(), mustURL(t, "https://example.atlassian.net/"))
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeDNS || n != 1 {
		t.Errorf("error %v after %d requests", err, n)
	}
}

func TestResources(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body string
		want []Resource
		code string
	}{
		"a site that comes once for each product": {
			`[{"id":"AB","url":"https://a.atlassian.net","scopes":["x","y"]},{"id":"ab","url":"https://a.atlassian.net","scopes":["y","z"]},{"id":"cd","url":"https://c.atlassian.net"}]`,
			[]Resource{{"ab", "https://a.atlassian.net", []string{"x", "y", "z"}}, {"cd", "https://c.atlassian.net", nil}}, ""},
		"no site at all":  {`[]`, nil, ""},
		"no list":         {`{}`, nil, CodeInvalidAnswer},
		"null":            {`null`, nil, CodeInvalidAnswer},
		"no JSON":         {`[`, nil, CodeInvalidAnswer},
		"a list of other": {`[1]`, nil, CodeInvalidAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTestClient(t, func(r *http.Request) (*http.Response, error) {
				if r.URL.String() != "https://api.atlassian.com/oauth/token/accessible-resources" {
					t.Errorf("asked %s", r.URL)
				}
				return reply(200, tt.body), nil
			}, func(o *Options) { o.Rand = func() float64 { return 0 } })
			got, err := c.Resources(t.Context())
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("resources (-want +got):\n%s", diff)
			}
			var e *Error
			if errors.As(err, &e) != (tt.code != "") || e != nil && e.Code != tt.code {
				t.Errorf("error %v, want %q", err, tt.code)
			}
		})
	}
}

func TestAdministersJira(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		route, body string
		url         string
		want        bool
		fails       bool
	}{
		"on the site":               {RouteSite, `{"permissions":{"ADMINISTER":{"havePermission":true}}}`, "https://example.atlassian.net/rest/api/3/mypermissions?permissions=ADMINISTER", true, false},
		"at the gateway":            {RouteGateway, `{"permissions":{"ADMINISTER":{"havePermission":false}}}`, "https://api.atlassian.com/ex/jira/" + testCloudID + "/rest/api/3/mypermissions?permissions=ADMINISTER", false, false},
		"an answer without it":      {RouteSite, `{"permissions":{}}`, "", false, true},
		"an answer that is no JSON": {RouteSite, `x`, "", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTestClient(t, func(r *http.Request) (*http.Response, error) {
				if tt.url != "" && r.URL.String() != tt.url {
					t.Errorf("asked %s", r.URL)
				}
				return reply(200, tt.body), nil
			}, func(o *Options) { o.Rand = func() float64 { return 0 } })
			got, err := c.AdministersJira(t.Context(), testCloudID, tt.route)
			if got != tt.want || (err != nil) != tt.fails {
				t.Errorf("%t, %v", got, err)
			}
		})
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		routes []string
		want   string
	}{
		"a credential for both":     {[]string{RouteSite, RouteGateway}, "https://example.atlassian.net/_edge/tenant_info https://api.atlassian.com/"},
		"one for the site alone":    {[]string{RouteSite}, "https://example.atlassian.net/_edge/tenant_info"},
		"one for the gateway alone": {[]string{RouteGateway}, "https://example.atlassian.net/_edge/tenant_info https://api.atlassian.com/"},
	} {
		c := newTestClient(t, nil, func(o *Options) { o.Credential = token{"x", tt.routes} })
		var got []string
		for _, u := range c.Origins() {
			got = append(got, u.String())
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAcceptedUntil(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	e := &Error{Code: CodeUnauthorized, Status: 401, What: "w", Next: "check it"}
	if got := e.AcceptedUntil(at); got.Code != CodeExpired || !strings.Contains(got.Next, "accepted until 2026-11-01T00:00:00Z") || !strings.HasSuffix(got.Next, "check it") {
		t.Errorf("%+v", got)
	}
	if e.AcceptedUntil(time.Time{}) != e || e.Code != CodeUnauthorized {
		t.Error("one that was never accepted is changed")
	}
	if other := (&Error{Code: CodePlan}); other.AcceptedUntil(at) != other {
		t.Error("another failure is changed")
	}
}

func TestRefusalsWithHeadersOfTheirOwn(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status  int
		body    string
		headers []string
		code    string
	}{
		"a CAPTCHA, by its own header":         {403, "", []string{"X-Authentication-Denied-Reason: CAPTCHA_CHALLENGE; login-url=https://example.atlassian.net/login.jsp"}, CodeCaptcha},
		"a CAPTCHA, by Seraph's":               {401, "", []string{"X-Seraph-LoginReason: AUTHENTICATION_DENIED"}, CodeCaptcha},
		"a person who is taken for nobody":     {403, `{"errorMessages":["No."]}`, []string{"X-Seraph-LoginReason: AUTHENTICATED_FAILED"}, CodeUnauthorized},
		"a person who is known":                {403, `{"errorMessages":["No."]}`, []string{"X-Seraph-LoginReason: OK"}, CodeNotAdmin},
		"a scope, by the gateway's header":     {401, `{"code":401,"message":"Unauthorized"}`, []string{"X-Failure-Category: FAILURE_CLIENT_SCOPE_CHECK"}, CodeScope},
		"basic authentication is switched off": {403, `{"message":"Basic Authentication has been disabled on this instance."}`, nil, CodeBasicDisabled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTestClient(t, func(*http.Request) (*http.Response, error) { return reply(tt.status, tt.body, tt.headers...), nil },
				func(o *Options) { o.Credential = token{"api_token", []string{RouteSite}} })
			_, err := c.Source("jira", testCloudID, "").Page(t.Context(), anyQuery)
			var e *Error
			if !errors.As(err, &e) || e.Code != tt.code || e.Status != tt.status || !e.NeedsPerson() || e.Next == "" {
				t.Errorf("error %+v, want %s", err, tt.code)
			}
		})
	}
	if !slices.Contains(Needs("jira")[0], "read:audit-log:jira") || Needs("x") != nil {
		t.Error("the scopes are wrong")
	}
}
