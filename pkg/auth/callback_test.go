package auth

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

func TestTheAddressHasTheDocumentedParametersAndNoOther(t *testing.T) {
	t.Parallel()
	c := newConsented(t)
	k := c.app().Consent("http://localhost:14390/callback", []string{"a:b", "c:d"})
	u := parse(t, k.Address())
	q := u.Query()
	if len(k.state) < 26 || q.Get("state") != k.state || c.app().Consent("x", nil).state == k.state {
		t.Errorf("the state is %q", k.state)
	}
	q.Del("state")
	want := url.Values{
		"audience": {"api.atlassian.com"}, "client_id": {atlassiantest.DefaultAppID}, "scope": {"a:b c:d offline_access"},
		"redirect_uri": {"http://localhost:14390/callback"}, "response_type": {"code"}, "prompt": {"consent"},
	}
	if diff := cmp.Diff(want, q); diff != "" || u.Scheme+"://"+u.Host+u.Path != "https://auth.atlassian.com/authorize" {
		t.Errorf("%s (-want +got):\n%s", u, diff)
	}
}

func TestAnswersOfTheConsentPage(t *testing.T) {
	t.Parallel()
	k := &Consent{state: "the-state"}
	for name, tc := range map[string]struct {
		landing, code, says, kind string
	}{
		"a code":                          {"http://localhost:1/callback?code=abc&state=the-state", "abc", "", ""},
		"a code, pasted with blanks":      {"  http://localhost:1/callback?state=the-state&code=abc\r\n", "abc", "", ""},
		"only what follows the host":      {"/callback?code=abc&state=the-state", "abc", "", ""},
		"another state":                   {"http://localhost:1/callback?code=abc&state=the-statf", "", "its state is another one", ""},
		"an empty state":                  {"http://localhost:1/callback?code=abc&state=", "", "its state is another one", ""},
		"no state":                        {"http://localhost:1/callback?code=abc", "", "lacks the answer", ""},
		"the address that was printed":    {"https://auth.atlassian.com/authorize?client_id=1", "", "lacks the answer", ""},
		"no address":                      {"ab\x7fc", "", "is no address", ""},
		"nothing":                         {"", "", "lacks the answer", ""},
		"a refusal":                       {"/callback?state=the-state&error=access_denied", "", "the consent was refused", CodeConsentDenied},
		"an error":                        {"/callback?state=the-state&error=server_error", "", "(server_error)", CodeConsentDenied},
		"an error with a text of its own": {"/callback?state=the-state&error=%3Cscript%3E", "", "none of the specification's", CodeConsentDenied},
		"no code":                         {"/callback?state=the-state", "", "neither a code nor an error", ""},
	} {
		code, err := k.Answer(tc.landing)
		if code != tc.code || (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %q, %v", name, code, err)
		}
		if tc.kind != "" && codeOf(err) != tc.kind {
			t.Errorf("%s: code %s", name, codeOf(err))
		}
	}
}

// visit opens an address as a browser does, and returns status and page.
func visit(t *testing.T, address string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(page)
}

func TestTheCallbackTakesTheAnswerOfItsConsentAlone(t *testing.T) {
	t.Parallel()
	back, err := ListenCallback(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	k := &Consent{state: "the-state"}
	type result struct {
		code string
		err  error
	}
	got := make(chan result, 1)
	go func() {
		code, err := back.Wait(t.Context(), k)
		got <- result{code, err}
	}()
	for path, want := range map[string]int{
		"/": 404, "/callback/": 404, "/favicon.ico": 404, "/callback": 400, "/callback?code=forged&state=else": 400, "/callback?code=<b>&state=%3Cb%3E": 400,
	} {
		if status, page := visit(t, strings.TrimSuffix(back.URL(), "/callback")+path); status != want || strings.Contains(page, "<b>") {
			t.Errorf("%s answers %d %s", path, status, page)
		}
	}
	if status, page := visit(t, back.URL()+"?code=abc&state=the-state"); status != 200 || !strings.Contains(page, "The consent arrived") || strings.Contains(page, "abc") {
		t.Errorf("the callback answers %d %s", status, page)
	}
	if r := <-got; r.code != "abc" || r.err != nil {
		t.Errorf("the answer is %+v", r)
	}
}

func TestTheCallbackListensOnThisMachineAlone(t *testing.T) {
	t.Parallel()
	back, err := ListenCallback(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	for _, l := range back.listeners {
		if a, ok := l.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
			t.Errorf("it listens on %v", l.Addr())
		}
	}
	port := back.listeners[0].Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // checked above
	if _, err := ListenCallback(t.Context(), port); err == nil || !strings.Contains(err.Error(), "listen for the browser on port") {
		t.Errorf("a port in use: %v", err)
	}
}

func TestTheCallbackEndsWithItsContext(t *testing.T) {
	t.Parallel()
	back, err := ListenCallback(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := back.Wait(ctx, &Consent{state: "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestACodeThatIsRefused(t *testing.T) {
	t.Parallel()
	c := newConsented(t)
	k := c.app().Consent("http://localhost:14390/callback", nil)
	if _, err := k.Exchange(t.Context(), c.server.Transport(), "forged"); codeOf(err) != CodeConsentCode {
		t.Errorf("a forged code: %v", err)
	}
	wrong := c.app(func(o *AppOptions) { o.ClientSecret = "wrong" }).Consent("http://localhost:14390/callback", nil)
	if _, err := wrong.Exchange(t.Context(), c.server.Transport(), "x"); codeOf(err) != CodeClient || !strings.Contains(err.Error(), "run the command again") {
		t.Errorf("a wrong secret: %v", err)
	}
	c.server.Fault(atlassiantest.Fault{Kind: atlassiantest.KindToken, Action: atlassiantest.Answer(200, `{"access_token":"x"}`)})
	if _, err := k.Exchange(t.Context(), c.server.Transport(), "x"); codeOf(err) != CodeTokenInvalid || !strings.Contains(err.Error(), "no refresh token") {
		t.Errorf("no refresh token: %v", err)
	}
	if hosts, err := c.app().Bound(); err != nil || hosts != nil {
		t.Errorf("bound %v, %v", hosts, err)
	}
}

func TestAnAuthorisationThatBreaksOffChangesNothing(t *testing.T) {
	t.Parallel()
	c := newConsented(t)
	c.consent(host)
	pending := func() *Consent {
		k := c.app().Consent("http://localhost:14390/callback", []string{"read:audit-log:jira"})
		landing, err := atlassiantest.AtConsentPage(t.Context(), &http.Client{Transport: c.server.Transport()}, k.Address())
		if err != nil {
			t.Fatal(err)
		}
		code, err := k.Answer(landing)
		if err != nil {
			t.Fatal(err)
		}
		o, err := k.Exchange(t.Context(), c.server.Transport(), code)
		if err != nil {
			t.Fatal(err)
		}
		if status, err := c.readWith(o, c.server.Transport()); err != nil || status != 200 {
			t.Errorf("the new consent reads %d, %v", status, err)
		}
		return k
	}
	stored := func() int {
		set, err := c.app().store.grants(c.app().key)
		if err != nil {
			t.Fatal(err)
		}
		return len(set.Grants)
	}
	first := pending()
	if c.mustRead(); stored() != 2 {
		t.Errorf("%d consents, want the one in use and the new one", stored())
	}
	if err := first.Discard(); err != nil || stored() != 1 {
		t.Errorf("%d consents after it was discarded, %v", stored(), err)
	}
	if err := first.Bind([]string{host}); err == nil {
		t.Error("a consent that is not there was bound")
	}
	pending()
	c.pass(2 * pendingAge)
	c.consent("other")
	if stored() != 2 {
		t.Errorf("%d consents: one that broke off long ago is still there", stored())
	}
	c.mustRead()
}

func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{"", "http://localhost:1/callback?code=abc&state=the-state", "/callback?state=the-state&error=access_denied", "?state=the-state&code=%zz", "::", "?state=&code=a"} {
		f.Add(seed)
	}
	k := &Consent{state: "the-state"}
	f.Fuzz(func(t *testing.T, landing string) {
		code, err := k.Answer(landing)
		if (code == "") != (err != nil) {
			t.Errorf("%q gives the code %q and %v", landing, code, err)
		}
		if err == nil && !strings.Contains(landing, "the-state") && !strings.Contains(landing, "%") {
			t.Errorf("%q is taken for an answer to this consent", landing)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q gives the error %q of several lines", landing, err)
		}
	})
}
