package datadog_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/datadog"
	"atlassian_audit_records/pkg/datadog/datadogtest"
)

// outcomes counts what became of changes.
func outcomes(results []datadog.Result) (done, failed, notTried int) {
	for _, r := range results {
		switch {
		case r.Done:
			done++
		case strings.HasPrefix(r.Error, "not tried"):
			notTried++
		default:
			failed++
		}
	}
	return done, failed, notTried
}

func TestAFailureInTheMiddle(t *testing.T) {
	t.Parallel()
	all := len(load(t))
	rules := len(load(t, datadog.Rules))
	for _, tt := range []struct {
		name                   string
		fault                  datadogtest.Fault
		method, path           string
		done, failed, notTried int
		says                   string
	}{
		{
			"a rule that Datadog does not take is passed over", datadogtest.Fault{Status: 400, Body: `{"errors":["invalid query"]}`},
			http.MethodPost, datadogtest.Rules, all - rules, rules, 0, "400: invalid query",
		},
		{
			"so is a conflict", datadogtest.Fault{Status: 409, Body: `{"errors":[{"title":"Generic Error","detail":"rule exists"}]}`},
			http.MethodPost, datadogtest.Rules, all - rules, rules, 0, "409: Generic Error; rule exists",
		},
		{
			"keys that may not write a kind are not tried on all of it", datadogtest.Fault{Status: 403, Body: `{"errors":["Forbidden"]}`},
			http.MethodPost, datadogtest.Monitors, all - len(load(t, datadog.Monitors)), 1, len(load(t, datadog.Monitors)) - 1, "monitors_write",
		},
		{
			"a server that stays broken ends it", datadogtest.Fault{Status: 500},
			http.MethodPost, datadogtest.Monitors, all - rules - len(load(t, datadog.Monitors)), 1, rules + len(load(t, datadog.Monitors)) - 1, "is not known",
		},
		{
			"one that stays busy too", datadogtest.Fault{Status: 429, Header: map[string]string{"X-Ratelimit-Reset": "7"}},
			http.MethodPost, datadogtest.Rules, all - rules, 1, rules - 1, "wait some minutes",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := newOrg(t)
			plan := o.plan(t)
			o.SetFault(func(method, path string, _ int) datadogtest.Fault {
				if method == tt.method && path == tt.path {
					return tt.fault
				}
				return datadogtest.Fault{}
			})
			results := o.apply(t, plan)
			done, failed, notTried := outcomes(results)
			if diff := cmp.Diff([]int{tt.done, tt.failed, tt.notTried}, []int{done, failed, notTried}); diff != "" {
				t.Errorf("done, failed, not tried (-want +got)\n%s", diff)
			}
			said := ""
			for _, r := range results {
				said += r.Error + "\n"
			}
			if !strings.Contains(said, tt.says) {
				t.Errorf("said %s", said)
			}
			o.SetFault(nil)
			o.install(t) // what is left
			if left := open(o.plan(t)); len(left) > 0 {
				t.Errorf("left to do: %v", left)
			}
		})
	}
}

// TestALostAnswerMakesNothingTwice: the creation was carried out, and the answer
// was a 502. Of rules, as Datadog itself refuses a monitor twice.
func TestALostAnswerMakesNothingTwice(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	plan := o.plan(t, datadog.Rules)
	lost := false
	o.SetFault(func(method, _ string, _ int) datadogtest.Fault {
		if method == http.MethodPost && !lost {
			lost = true
			return datadogtest.Fault{Status: 502, After: true}
		}
		return datadogtest.Fault{}
	})
	o.apply(t, plan)
	o.install(t, datadog.Rules)
	if n, want := len(o.All(datadogtest.Rules)), 1+len(load(t, datadog.Rules)); n != want { // one was there
		t.Errorf("%d rules, want %d", n, want)
	}
}

// TestWhatLosesItsMarkIsTakenBack: or every run would make it once more.
func TestWhatLosesItsMarkIsTakenBack(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	plan := o.plan(t, datadog.Pipelines)
	o.IgnoreTags(datadogtest.Pipelines)
	results := o.apply(t, plan)
	if len(results) == 0 || results[0].Done || !strings.Contains(results[0].Error, "did not keep its mark") {
		t.Errorf("results %+v", results)
	}
	if n := len(o.All(datadogtest.Pipelines)); n != 1 {
		t.Errorf("%d pipelines, and one was there", n)
	}
}

func TestPatience(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	o.SetFault(func(_, _ string, n int) datadogtest.Fault {
		if n%3 == 1 {
			return datadogtest.Fault{Status: 429, Header: map[string]string{"X-Ratelimit-Reset": "7"}}
		}
		return datadogtest.Fault{}
	})
	o.install(t)
	if len(o.waits) < 20 {
		t.Fatalf("%d waits", len(o.waits))
	}
	for _, w := range o.waits {
		if w != 7*time.Second {
			t.Errorf("a wait of %v, and 7s were asked for", w)
		}
	}
	// What is safe to do twice is done again where the server breaks.
	o.SetFault(func(_, _ string, n int) datadogtest.Fault {
		if n%2 == 1 {
			return datadogtest.Fault{Status: 503}
		}
		return datadogtest.Fault{}
	})
	if left := open(o.plan(t)); len(left) > 0 {
		t.Errorf("left to do: %v", left)
	}
}

func TestAnOrganisationThatCannotBeReadIsNotChanged(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, path, body string
		status           int
		says             string
	}{
		{"no right to a kind", datadogtest.Rules, `{"errors":["Forbidden"]}`, 403, "security_monitoring_rules_read"},
		{"a key of another organisation", datadogtest.Pipelines, `{"errors":["Unauthorized"]}`, 401, "DD_API_KEY"},
		{"something that is not Datadog", datadogtest.Dashboards, `<html>`, 200, "no JSON"},
		{"a list that is none", datadogtest.Monitors, `{}`, 200, "is none"},
		{"a redirect", datadogtest.Monitors, ``, 302, "redirect"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := newOrg(t)
			o.SetFault(func(_, path string, _ int) datadogtest.Fault {
				if path == tt.path {
					return datadogtest.Fault{Status: tt.status, Body: tt.body, Header: map[string]string{"Location": "https://example.com/login"}}
				}
				return datadogtest.Fault{}
			})
			_, err := o.client.PlanInstall(t.Context(), load(t))
			var unread *datadog.ReadError
			if !errors.As(err, &unread) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v", err)
			}
			if err != nil && (strings.Contains(err.Error(), datadogtest.APIKey) || strings.Contains(err.Error(), datadogtest.AppKey)) {
				t.Errorf("the error holds a key: %v", err)
			}
			if n := o.writes(); n != 0 {
				t.Errorf("%d changes", n)
			}
		})
	}
}

func TestNewClientSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	key, app := datadogtest.APIKey, datadogtest.AppKey
	for _, tt := range []struct {
		name string
		o    datadog.Options
		want string // the address, or a part of the error
		bad  bool
	}{
		{"no API key", datadog.Options{AppKey: app}, "DD_API_KEY is not set", true},
		{"no application key", datadog.Options{APIKey: key}, "DD_APP_KEY is not set", true},
		{"a key with a line break", datadog.Options{APIKey: key + "\n", AppKey: app}, "DD_API_KEY begins or ends with white space", true},
		{"the default site", datadog.Options{APIKey: key, AppKey: app}, "https://api.datadoghq.com", false},
		{"another site", datadog.Options{APIKey: key, AppKey: app, Site: "us3.datadoghq.com"}, "https://api.us3.datadoghq.com", false},
		{"a site that the client does not list", datadog.Options{APIKey: key, AppKey: app, Site: "xx9.datadoghq.com"}, "https://api.xx9.datadoghq.com", false},
		{"an address for a site", datadog.Options{APIKey: key, AppKey: app, Site: "https://app.datadoghq.eu"}, "it is a name like", true},
		{"an address in the clear", datadog.Options{APIKey: key, AppKey: app, URL: "http://example.com"}, "in the clear", true},
		{"an address with a password", datadog.Options{APIKey: key, AppKey: app, URL: "https://a:b@example.com"}, "not like", true},
		{"an address", datadog.Options{APIKey: key, AppKey: app, URL: "https://proxy.example.com/dd/"}, "https://proxy.example.com/dd", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := datadog.NewClient(tt.o)
			if tt.bad {
				if wrong := (*datadog.OptionError)(nil); !errors.As(err, &wrong) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil || c.Address() != tt.want {
				t.Errorf("%v, %v", c, err)
			}
		})
	}
}
