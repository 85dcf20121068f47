package atlassiantest_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

func TestServeTellsHowToUseIt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := atlassiantest.Serve(ctx, atlassiantest.SimulateOptions{
			Records: 300, Seed: 4, Rate: 1000, Faults: []string{"clamp=50", "wrong-total"}, Verbose: true,
		}, w)
		_ = w.Close()
		done <- err
	}()
	in := bufio.NewReader(r)
	var text strings.Builder
	for !strings.Contains(text.String(), "#   client_secret:") {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("%v after %s", err, text.String())
		}
		text.WriteString(line)
	}
	_, conf, _ := strings.Cut(text.String(), "conf.yaml:\n\n")
	var parsed struct {
		Instances []struct {
			Site, Gateway string
			AuthServer    string `yaml:"auth_server"`
			Products      []string
			Auth          struct {
				Type, Email string
				APIToken    string `yaml:"api_token"`
			}
		}
	}
	if err := yaml.Unmarshal([]byte(conf), &parsed); err != nil || len(parsed.Instances) != 1 {
		t.Fatalf("%v: %s", err, conf)
	}
	i := parsed.Instances[0]
	if i.Site == "" || i.Site != i.Gateway || i.Site != i.AuthServer || i.Auth.Type != "api_token" || len(i.Products) != 2 {
		t.Errorf("the instance is %+v", i)
	}
	go func() {
		for { // the requests' lines must not hold up the server
			if _, err := in.ReadString('\n'); err != nil {
				return
			}
		}
	}()
	req := request(t, i.Site+jiraPath)
	req.SetBasicAuth(i.Auth.Email, i.Auth.APIToken)
	tr := &http.Transport{DisableKeepAlives: true}
	a := receive(tr.RoundTrip, req)
	if n := len(a.list(t)); n != 50 {
		t.Errorf("a page has %d records, want the clamp's 50", n)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestServePlaysAScenario(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := atlassiantest.Serve(ctx, atlassiantest.SimulateOptions{Scenario: "calm", Seed: 1, Records: 10, Rate: 5}, w)
		_ = w.Close()
		done <- err
	}()
	in := bufio.NewReader(r)
	origin := ""
	for line := ""; !strings.Contains(line, "has a key of its own"); {
		var err error
		if line, err = in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if _, site, ok := strings.Cut(line, "- site: "); ok {
			origin = strings.TrimSpace(site)
		}
	}
	tr := &http.Transport{DisableKeepAlives: true}
	for shown := 0; shown < 50; { // what lies before the begin; it appears a moment after the port opens
		req := request(t, origin+jiraPath)
		req.SetBasicAuth(atlassiantest.DefaultEmail, atlassiantest.DefaultClassicToken)
		shown = len(receive(tr.RoundTrip, req).list(t))
	}
	cancel()
	rest, err := io.ReadAll(in)
	if want := regexp.MustCompile(`In the end there were \d\d+ records in Jira and \d\d+ in Confluence\.`); err != nil || !want.Match(rest) {
		t.Errorf("in the end it says %s (%v)", rest, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestServeRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sentence string
		options  atlassiantest.SimulateOptions
		want     string
	}{
		{"an unknown fault", atlassiantest.SimulateOptions{Faults: []string{"gremlins"}}, `no fault is called "gremlins"; there are ascending, clamp,`},
		{"a share over 1", atlassiantest.SimulateOptions{Faults: []string{"errors=5"}}, `the fault errors: "5" is not a share of the requests between 0 and 1`},
		{"a share that is no number", atlassiantest.SimulateOptions{Faults: []string{"hang=NaN"}}, `the fault hang: "NaN" is not a share`},
		{"a value too many", atlassiantest.SimulateOptions{Faults: []string{"ascending=1"}}, "the fault ascending takes no value"},
		{"a clamp of nothing", atlassiantest.SimulateOptions{Faults: []string{"clamp=0"}}, `the fault clamp: "0" is not a number of records`},
		{"a skew that is no duration", atlassiantest.SimulateOptions{Faults: []string{"clock-skew=20"}}, `the fault clock-skew: "20" is not a duration`},
		{"an unknown product", atlassiantest.SimulateOptions{Products: []string{"bitbucket"}}, `no product "bitbucket"`},
		{"a negative rate", atlassiantest.SimulateOptions{Rate: -1}, "must not be negative"},
		{"a scenario that there is not", atlassiantest.SimulateOptions{Scenario: "gremlins"}, `no scenario is called "gremlins"; there are day, calm,`},
		{"a scenario on Data Center", atlassiantest.SimulateOptions{Scenario: "calm", Deployment: "data_center"}, "on Cloud alone"},
		{"an address that is none", atlassiantest.SimulateOptions{Listen: "nowhere"}, `listen address "nowhere"`},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			err := atlassiantest.Serve(t.Context(), c.options, io.Discard)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

// TestFaultsByName holds every name to doing something, by its effect on a walk.
func TestFaultsByName(t *testing.T) {
	t.Parallel()
	for _, line := range atlassiantest.FaultNames() {
		name, _, _ := strings.Cut(strings.Fields(line)[0], "[")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fiveRecords(t)
			if strings.Contains(line, "[=0.05]") {
				name += "=1"
			}
			if err := s.ApplyFault(name); err != nil {
				t.Fatal(err)
			}
			q := s.Quirks(atlassiantest.Jira)
			if q == (quirks{}) { // then it is a fault
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				req := request(t, siteJira).WithContext(ctx)
				req.SetBasicAuth(atlassiantest.DefaultEmail, atlassiantest.DefaultClassicToken)
				kept := make(chan struct{})
				s.OnAnswer(func(atlassiantest.RequestInfo) { close(kept) })
				send(t, s, req)
				<-kept // by a handler that may outlast a client that gave up
				if got := s.Count(atlassiantest.KindAudit); got != 1 || len(struck(s)) == 0 {
					t.Errorf("%d requests, struck by %v", got, struck(s))
				}
			}
		})
	}
}

func struck(s *atlassiantest.Server) (names []string) {
	for _, r := range s.Requests() {
		names = append(names, r.Faults...)
	}
	return names
}
