package atlassiantest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// told is a scenario from its begin to its end, without anybody who asks: by
// product, a line for each record.
func told(c Scenario, seed uint64, step time.Duration) map[string][]string {
	begin := time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)
	now := begin
	s := New(Options{Seed: 1, Now: func() time.Time { return now }})
	p := c.Play(s, seed, begin)
	for ; !now.After(begin.Add(c.Length + 4*time.Hour)); now = now.Add(step) {
		p.Advance()
	}
	out := map[string][]string{}
	for _, product := range scenarioProducts {
		for _, r := range s.Records(product) {
			out[product] = append(out[product], fmt.Sprintf("%d %s %s", r.Seq, r.Created.Format(time.RFC3339Nano), r.Raw))
		}
	}
	return out
}

func TestAScenarioIsAlwaysToldAlike(t *testing.T) {
	t.Parallel()
	key := regexp.MustCompile(ScenarioKey)
	known := map[string]bool{}
	for _, c := range Scenarios() {
		if known[c.Name] || c.About == "" || c.Length < time.Hour {
			t.Errorf("the scenario %q is there twice, says nothing, or takes %s", c.Name, c.Length)
		}
		known[c.Name] = true
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			once := told(c, 1, time.Minute)
			seldom, otherwise := told(c, 1, 10*time.Minute), told(c, 2, time.Minute)
			for product := range once {
				if !slices.Equal(once[product], seldom[product]) {
					t.Errorf("%s is told otherwise to one who asks less often", product)
				}
				if slices.Equal(once[product], otherwise[product]) {
					t.Errorf("%s: the seed does not matter", product)
				}
			}
			for product, recs := range once {
				if len(recs) < 200 {
					t.Errorf("%s has only %d records", product, len(recs))
				}
				for _, r := range recs {
					if !key.MatchString(r) {
						t.Fatalf("%s: a record has no key: %s", product, r)
					}
				}
			}
		})
	}
	if _, err := ScenarioNamed("banana"); err == nil || !strings.Contains(err.Error(), "there are day, calm, ") {
		t.Errorf("a scenario that there is not: %v", err)
	}
}

// TestBetweenTwoPages reads a scenario page by page: what is to happen between
// two pages must, and once for each product.
func TestBetweenTwoPages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status int // of the second page
		kills  int
		fresh  int
	}{
		{name: "page-refused", status: http.StatusServiceUnavailable},
		{name: "killed", kills: 1},
		{name: "arrivals", status: http.StatusOK, fresh: 7},
		{name: "bulk", status: http.StatusOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := ScenarioNamed(tt.name)
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)
			now := begin
			s := New(Options{Seed: 1, Now: func() time.Time { return now }})
			p := c.Play(s, 1, begin)
			kills := 0
			ctx, die := context.WithCancel(t.Context())
			defer die()
			client := &http.Client{Transport: s.Transport()}
			ask := func(offset string) int {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, DefaultSiteURL+"/rest/api/3/auditing/record?offset="+offset, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.SetBasicAuth(DefaultEmail, DefaultClassicToken)
				resp, err := client.Do(req)
				if err != nil {
					return 0
				}
				defer func() { _ = resp.Body.Close() }()
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					t.Error(err)
				}
				return resp.StatusCode
			}
			p.OnKill(func(product string) {
				kills++
				die()
				if product != Jira {
					t.Errorf("the collector of %s is killed, and asked for Jira", product)
				}
			})
			now = begin.Add(30 * time.Minute)
			p.Advance()
			held := s.Len(Jira)
			if got := ask("0"); got != http.StatusOK {
				t.Fatalf("the first page is answered with %d", got)
			}
			if got := ask("1000"); got != tt.status {
				t.Errorf("the second page is answered with %d, want %d", got, tt.status)
			}
			if got := s.Len(Jira) - held; got != tt.fresh || kills != tt.kills {
				t.Errorf("%d records arrived and %d kills happened, want %d and %d", got, kills, tt.fresh, tt.kills)
			}
		})
	}
}

func TestConfluenceTakesDatesAsTextWhereItIsToldTo(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)
	s := New(Options{})
	s.AddBurst(Confluence, 3, at)
	s.AddBurst(Confluence, 2, at.Add(time.Hour))
	ask := func() (status, records int) {
		s.ForgetRequests()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, DefaultSiteURL+"/wiki/rest/api/audit?startDate=2026-03-02T06:30:00Z&endDate=1900000000000", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(DefaultEmail, DefaultClassicToken)
		resp, err := (&http.Client{Transport: s.Transport()}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode, s.Requests()[0].Records
	}
	if status, _ := ask(); status != http.StatusBadRequest {
		t.Errorf("as its reference has it: status %d", status)
	}
	s.SetQuirks(Confluence, Quirks{TextDates: true})
	if status, records := ask(); status != http.StatusOK || records != 2 {
		t.Errorf("status %d, %d records", status, records)
	}
}
