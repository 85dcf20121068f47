package atlassiantest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// logPage is an answer of the organisation's log.
type logPage struct {
	Status int
	Data   []struct {
		ID         string
		Type       string
		Attributes struct{ Time, ProcessedAt time.Time }
	}
	Meta struct {
		Next     *string
		PageSize int `json:"page_size"`
	}
	Links  struct{ Next string }
	Errors []struct{ Status, Title, Detail string }
}

// readLog asks the organisation's log with that key.
func readLog(t *testing.T, s *Server, key, query string) logPage {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.atlassian.com/admin/v1/orgs/"+DefaultOrganizationID+"/events-stream?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := s.Transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	p := logPage{Status: resp.StatusCode}
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
		t.Fatal(err)
	}
	return p
}

// ids are the last letters of the ids on some pages, which count the events.
func (p logPage) numbers() string {
	var out []string
	for _, e := range p.Data {
		out = append(out, strings.TrimLeft(e.ID[len(e.ID)-12:], "0"))
	}
	return strings.Join(out, " ")
}

func TestTheOrganisationsLogIsAscendingByProcessing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Seed: 1})
		c := NewCorpus(1)
		for i, back := range []time.Duration{3 * time.Hour, 2 * time.Hour, time.Hour} {
			r := c.Organization(time.Now().Add(-back))
			r.Processed = time.Now().Add(-time.Duration(9-i) * time.Minute)
			s.Add(Organization, r)
		}
		late := c.Organization(time.Now().Add(-50 * time.Hour))
		late.Processed = time.Now().Add(-time.Minute)
		s.Add(Organization, late)

		first := readLog(t, s, DefaultOrganizationKey, "limit=2")
		if first.Meta.Next == nil || !strings.Contains(first.Links.Next, "cursor=") || strings.Contains(first.Links.Next, "limit") {
			t.Fatalf("a full page names %v and %q", first.Meta.Next, first.Links.Next)
		}
		second := readLog(t, s, DefaultOrganizationKey, "limit=2&cursor="+*first.Meta.Next)
		end := readLog(t, s, DefaultOrganizationKey, "limit=2&cursor="+*second.Meta.Next)
		if len(end.Data) != 0 || end.Meta.Next != nil {
			t.Errorf("behind the end come %d events and the cursor %v", len(end.Data), end.Meta.Next)
		}
		all := append(first.Data, second.Data...)
		for i, e := range all {
			if i > 0 && e.Attributes.ProcessedAt.Before(all[i-1].Attributes.ProcessedAt) || e.Type != "events" {
				t.Errorf("event %d is %+v", i, e)
			}
		}
		if last := all[3]; last.Attributes.ProcessedAt.Sub(last.Attributes.Time) < 49*time.Hour {
			t.Errorf("the event that was processed late is %+v", last)
		}
		// A cursor is good for what comes later, in its own order.
		s.AddBurst(Organization, 1, time.Now())
		if again := readLog(t, s, DefaultOrganizationKey, "sortOrder=desc&cursor="+*second.Meta.Next); len(again.Data) != 1 {
			t.Errorf("the last cursor shows %s", again.numbers())
		}
		newest := readLog(t, s, DefaultOrganizationKey, "sortOrder=desc&limit=1")
		if len(newest.Data) != 1 || newest.numbers() == first.numbers() {
			t.Errorf("the newest is %s", newest.numbers())
		}
	})
}

func TestTheBoundsOfTheOrganisationsLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Seed: 1})
		now := time.Now()
		r := NewCorpus(1).Organization(now.Add(-2 * time.Hour))
		r.Processed = now.Add(-time.Hour)
		s.Add(Organization, r)
		at := func(back time.Duration) int64 { return now.Add(-back).UnixMilli() }
		for name, row := range map[string]struct {
			from, to int64
			byTime   bool
			want     int
		}{
			"both include the moment of processing":    {at(time.Hour), at(time.Hour), false, 1},
			"the event's own time is none of theirs":   {at(2 * time.Hour), at(90 * time.Minute), false, 0},
			"or it is what they mean":                  {at(2 * time.Hour), at(90 * time.Minute), true, 1},
			"and then the moment of processing is not": {at(time.Hour), at(0), true, 0},
		} {
			s.SetQuirks(Organization, Quirks{BoundsByTime: row.byTime})
			if got := len(readLog(t, s, DefaultOrganizationKey, fmt.Sprintf("from=%d&to=%d", row.from, row.to)).Data); got != row.want {
				t.Errorf("%s: %d events, want %d", name, got, row.want)
			}
		}
	})
}

func TestTheOrganisationsLogRefuses(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		prepare    func(*Server)
		key, query string
		want       int
	}{
		"nobody":                           {func(*Server) {}, "", "", 401},
		"a key that is wrong":              {func(*Server) {}, "wrong", "", 401},
		"a site's token":                   {func(*Server) {}, DefaultServiceToken, "", 401},
		"a revoked key":                    {func(s *Server) { s.Revoke(OrganizationKey) }, DefaultOrganizationKey, "", 401},
		"a key without the scope":          {func(s *Server) { s.SetScopes(OrganizationKey, "read:users:admin") }, DefaultOrganizationKey, "", 401},
		"an organisation without Guard":    {func(s *Server) { s.Deny(Organization, NoGuard) }, DefaultOrganizationKey, "", 403},
		"more than the largest page":       {func(*Server) {}, DefaultOrganizationKey, "limit=501", 400},
		"a bound that is no number":        {func(*Server) {}, DefaultOrganizationKey, "from=yesterday", 400},
		"an order that there is not":       {func(*Server) {}, DefaultOrganizationKey, "sortOrder=up", 400},
		"a cursor of somebody else's":      {func(*Server) {}, DefaultOrganizationKey, "cursor=abc", 400},
		"the second request of the minute": {func(s *Server) { s.SetLimits(Limits{PerMinute: 1}) }, DefaultOrganizationKey, "", 429},
		"a key with the scope does not":    {func(s *Server) { s.SetScopes(OrganizationKey, ScopeOrganization) }, DefaultOrganizationKey, "limit=500", 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := New(Options{Seed: 1})
				row.prepare(s)
				if row.want == 429 {
					readLog(t, s, row.key, row.query)
				}
				if got := readLog(t, s, row.key, row.query); got.Status != row.want {
					t.Errorf("the answer is %+v, want status %d", got, row.want)
				}
			})
		})
	}
	// The key is good for nothing else.
	s := New(Options{Seed: 1})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.atlassian.com/ex/jira/"+DefaultCloudID+"/rest/api/3/auditing/record", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+DefaultOrganizationKey)
	resp, err := s.Transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("Jira answers the organisation's key with %d", resp.StatusCode)
	}
}

func TestTheCorpusOfTheOrganisationIsItsOwn(t *testing.T) {
	t.Parallel()
	a, b := NewCorpus(7), NewCorpus(7)
	actions := map[string]bool{}
	for range 2000 {
		x, y := a.Organization(time.Unix(0, 0)), b.Organization(time.Unix(0, 0))
		if diff := cmp.Diff(string(x.Raw), string(y.Raw)); diff != "" || x.Key != y.Key {
			t.Fatalf("the same seed makes other events: %s", diff)
		}
		var e struct{ Attributes struct{ Action string } }
		if err := json.Unmarshal(x.Raw, &e); err != nil {
			t.Fatalf("%v: %s", err, x.Raw)
		}
		actions[e.Attributes.Action] = true
	}
	for _, want := range []string{"user_login", "user_login_failed", "api_token_created", "marketplace_app_installed", "group_member_added",
		"authentication_policy_updated", "audit_log_exported", "user_role_granted", "user_impersonated"} {
		if !actions[want] {
			t.Errorf("nobody ever did %s", want)
		}
	}
}
