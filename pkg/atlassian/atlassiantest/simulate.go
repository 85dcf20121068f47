package atlassiantest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// SimulateOptions are what a person may choose about a simulated Atlassian.
type SimulateOptions struct {
	// Listen is "host:port"; no host means 127.0.0.1, no port any free one.
	Listen string
	// Seed decides everything random.
	Seed uint64
	// Records is the number of records there at the start, all products
	// together, and Span how far back they reach; 12 hours by default.
	Records int
	Span    time.Duration
	// Rate is the number of records that arrive per second, all products
	// together; a few of them in bursts or late.
	Rate float64
	// Latency is the time every answer to a product's request takes.
	Latency time.Duration
	// Faults are names, each with a value or without: see FaultNames.
	Faults []string
	// Products are those that have records: Jira and Confluence by default; the
	// organisation's log counts as one.
	Products []string
	// Deployment is "cloud" or "data_center", where each product has a context path
	// of its own; cloud by default. Old leaves Data Center the resources alone that
	// were there before the events.
	Deployment string
	Old        bool
	// AuditLog is a folder below which Data Center writes its audit log files, each
	// product in a folder of its name; empty for none.
	AuditLog string
	// Scenario names what happens from the start on, in place of Records, Span and
	// Rate; empty for nothing.
	Scenario string
	// Verbose writes a line for each request.
	Verbose bool
}

// simulated is what can be simulated, the organisation's log included.
var simulated = []string{Jira, Confluence, Organization}

// Serve runs a simulated Atlassian on a loopback port until ctx ends. It writes
// to out where it listens, with which credentials, and a configuration of the
// check that uses it.
func Serve(ctx context.Context, o SimulateOptions, out io.Writer) error {
	if len(o.Products) == 0 {
		o.Products = []string{Jira, Confluence}
	}
	var dc *DataCenter
	switch o.Deployment {
	case "", "cloud":
		if o.Old || o.AuditLog != "" {
			return fmt.Errorf("only a data_center has older resources and audit log files")
		}
	case "data_center":
		dc = &DataCenter{Old: o.Old}
	default:
		return fmt.Errorf("no deployment %q can be simulated; there are cloud and data_center", o.Deployment)
	}
	var scenario Scenario
	if o.Scenario != "" {
		if dc != nil || slices.Contains(o.Products, Organization) {
			return fmt.Errorf("a scenario is about Jira and Confluence on Cloud alone")
		}
		var err error
		if scenario, err = ScenarioNamed(o.Scenario); err != nil {
			return err
		}
		o.Products, o.Records, o.Rate = scenarioProducts, 0, 0
	}
	s := New(Options{Seed: o.Seed, DataCenter: dc})
	for _, p := range o.Products {
		if !slices.Contains(simulated, p) {
			return fmt.Errorf("no product %q can be simulated; there are %s", p, strings.Join(simulated, ", "))
		}
	}
	if o.Records < 0 || o.Span < 0 || o.Rate < 0 || o.Latency < 0 {
		return fmt.Errorf("the number of records, the span, the rate and the latency must not be negative")
	}
	if o.Span == 0 {
		o.Span = 12 * time.Hour
	}
	for _, p := range simulated {
		s.UpdateQuirks(p, func(q *Quirks) {
			q.Latency, q.SearchEvents, q.WriteDelay = o.Latency, dc.events() && p != Organization, time.Second
		})
		if o.AuditLog != "" && p != Organization {
			dir := filepath.Join(o.AuditLog, p)
			if err := os.MkdirAll(dir, 0o750); err != nil {
				return fmt.Errorf("make the folder of the audit log files: %w", err)
			}
			s.LogTo(p, dir, 0)
		}
	}
	for _, f := range o.Faults {
		if err := s.ApplyFault(f); err != nil {
			return err
		}
	}
	s.Fill(o.Records, o.Span, o.Products...)

	w := &lines{out: out}
	if o.Verbose {
		s.OnAnswer(w.request)
	}
	base, shut, err := s.Listen(o.Listen)
	if err != nil {
		return err
	}
	w.printf("%s", introduction(s, base, o))
	var running sync.WaitGroup
	if o.Rate > 0 {
		t := NewTraffic(s, TrafficOptions{
			Seed: o.Seed, Products: o.Products, Rate: o.Rate, Bursts: 0.03, Late: 0.02, LateBy: 5 * time.Minute,
		})
		running.Go(func() { t.Run(ctx) })
	}
	if o.Scenario != "" {
		running.Go(func() { scenario.Play(s, o.Seed, s.now()).run(ctx) })
		w.printf("\nThe scenario %s has begun, and takes %s. %s.\nEach record has a key of its own (%s) in the name of its object, twins aside.\n",
			scenario.Name, scenario.Length, scenario.About, ScenarioKey)
	}
	<-ctx.Done()
	running.Wait()
	if o.Scenario != "" {
		w.printf("\nIn the end there were %d records in Jira and %d in Confluence.\n", s.Len(Jira), s.Len(Confluence))
	}
	if err := shut(); err != nil {
		return fmt.Errorf("closing the simulator's port: %w", err)
	}
	return nil
}

// lines writes whole lines from several goroutines.
type lines struct {
	mu  sync.Mutex
	out io.Writer
}

func (l *lines) printf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = fmt.Fprintf(l.out, format, args...) // a reader who left must not end the simulation
}

func (l *lines) request(i RequestInfo) {
	faults := ""
	if len(i.Faults) > 0 {
		faults = "  fault: " + strings.Join(i.Faults, ", ")
	}
	l.printf("%s %s %-7s %s?%s -> %d, %d records%s\n",
		i.Time.UTC().Format(time.TimeOnly), i.Method, i.Route, i.Path, i.RawQuery, i.Status, i.Records, faults)
}

func introduction(s *Server, base string, o SimulateOptions) string {
	if s.o.DataCenter != nil {
		return introduceDataCenter(s, base, o)
	}
	c := s.Options()
	var b strings.Builder
	fmt.Fprintf(&b, "A simulated Atlassian listens on %s\n", base)
	fmt.Fprintf(&b, "  records: %d in Jira, %d in Confluence", s.Len(Jira), s.Len(Confluence))
	if slices.Contains(o.Products, Organization) {
		fmt.Fprintf(&b, ", %d in the organisation's log", s.Len(Organization))
	}
	fmt.Fprintf(&b, ", over the last %s", o.Span)
	if o.Rate > 0 {
		fmt.Fprintf(&b, ", %g more each second", o.Rate)
	}
	fmt.Fprintf(&b, "\n  cloudId: %s\n", c.CloudID)
	if len(o.Faults) > 0 {
		fmt.Fprintf(&b, "  faults: %s\n", strings.Join(o.Faults, ", "))
	}
	fmt.Fprintf(&b, "\nCredentials, good for this simulation alone:\n")
	fmt.Fprintf(&b, "  e-mail                %s\n", c.Email)
	fmt.Fprintf(&b, "  classic API token     %s   (site)\n", c.ClassicToken)
	fmt.Fprintf(&b, "  scoped API token      %s   (gateway)\n", c.ScopedToken)
	fmt.Fprintf(&b, "  service account       client_id %s, client_secret %s\n", c.ClientID, c.ClientSecret)
	fmt.Fprintf(&b, "  OAuth app (3LO)       client_id %s, client_secret %s\n", c.AppID, c.AppSecret)
	fmt.Fprintf(&b, "  organisation          id %s, API key %s   (gateway)\n", c.OrganizationID, c.OrganizationKey)
	fmt.Fprintf(&b, "\nconf.yaml:\n\n")
	fmt.Fprintf(&b, "init_config:\ninstances:\n")
	if products := slices.DeleteFunc(slices.Clone(o.Products), func(p string) bool { return p == Organization }); len(products) > 0 {
		fmt.Fprintf(&b, "  - site: %s\n    gateway: %s\n    auth_server: %s\n", base, base, base)
		fmt.Fprintf(&b, "    products: [%s]\n", strings.Join(products, ", "))
		fmt.Fprintf(&b, "    auth:\n      type: api_token\n      email: %s\n      api_token: %s\n", c.Email, c.ClassicToken)
		fmt.Fprintf(&b, "    # auth:\n    #   type: service_account\n    #   client_id: %s\n    #   client_secret: %s\n", c.ClientID, c.ClientSecret)
	}
	if slices.Contains(o.Products, Organization) {
		fmt.Fprintf(&b, "  - organization: %s\n    gateway: %s\n", c.OrganizationID, base)
		fmt.Fprintf(&b, "    auth:\n      type: organization_api_key\n      organization_api_key: %s\n", c.OrganizationKey)
	}
	return b.String()
}

func introduceDataCenter(s *Server, base string, o SimulateOptions) string {
	c := s.o.DataCenter
	var b strings.Builder
	fmt.Fprintf(&b, "A simulated Data Center listens on %s\n", base)
	fmt.Fprintf(&b, "  records: %d in Jira, %d in Confluence, over the last %s", s.Len(Jira), s.Len(Confluence), o.Span)
	if o.Rate > 0 {
		fmt.Fprintf(&b, ", %g more each second", o.Rate)
	}
	if o.AuditLog != "" {
		fmt.Fprintf(&b, "\n  audit log files: %s", o.AuditLog)
	}
	if len(o.Faults) > 0 {
		fmt.Fprintf(&b, "\n  faults: %s", strings.Join(o.Faults, ", "))
	}
	fmt.Fprintf(&b, "\n\nCredentials, good for this simulation alone:\n")
	fmt.Fprintf(&b, "  personal access token  %s\n", c.PersonalToken)
	fmt.Fprintf(&b, "  user name, password    %s, %s\n", c.Username, c.Password)
	fmt.Fprintf(&b, "\nconf.yaml:\n\ninit_config:\ninstances:\n")
	for _, p := range o.Products {
		fmt.Fprintf(&b, "  - site: %s%s\n    deployment: data_center\n    products: [%s]\n", base, c.Paths[p], p)
		if o.AuditLog != "" {
			fmt.Fprintf(&b, "    # audit_log_path: %s   # in place of auth\n", filepath.Join(o.AuditLog, p))
		}
		fmt.Fprintf(&b, "    auth:\n      type: personal_access_token\n      personal_access_token: %s\n", c.PersonalToken)
	}
	return b.String()
}

// preset is a fault or a quirk that a person may ask for by name.
type preset struct {
	value string // what the value is, and by default
	help  string
	apply func(s *Server, value string) error
}

// FaultNames lists what ApplyFault takes, one line each.
func FaultNames() []string {
	all := presets()
	var out []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		p := all[name]
		text := name
		if p.value != "" {
			text += "[=" + p.value + "]"
		}
		out = append(out, fmt.Sprintf("%-30s %s", text, p.help))
	}
	return out
}

// ApplyFault arms a fault or sets a quirk of all products by its name, with a
// value behind "=" where it takes one: "rate-limit", "errors=0.05", "clamp=100".
func (s *Server) ApplyFault(text string) error {
	name, value, hasValue := strings.Cut(text, "=")
	all := presets()
	p, ok := all[name]
	if !ok {
		return fmt.Errorf("no fault is called %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	}
	if hasValue && p.value == "" {
		return fmt.Errorf("the fault %s takes no value", name)
	}
	if !hasValue {
		value = p.value
	}
	if err := p.apply(s, value); err != nil {
		return fmt.Errorf("the fault %s: %w", name, err)
	}
	return nil
}

func presets() map[string]preset {
	some := func(help string, actions ...Action) preset {
		return preset{"0.05", help, func(s *Server, value string) error {
			share, err := strconv.ParseFloat(value, 64)
			if err != nil || !(share > 0 && share <= 1) {
				return fmt.Errorf("%q is not a share of the requests between 0 and 1", value)
			}
			for _, a := range actions {
				s.Fault(Fault{Probability: share / float64(len(actions)), Action: a})
			}
			return nil
		}}
	}
	always := func(help string, change func(*Quirks)) preset {
		return preset{"", help, func(s *Server, _ string) error {
			for _, p := range simulated {
				s.UpdateQuirks(p, change)
			}
			return nil
		}}
	}
	return map[string]preset{
		"rate-limit":       some("429 with Retry-After: 2", RateLimit(2*time.Second, RetrySeconds)),
		"rate-limit-reset": some("429 with nothing but X-RateLimit-Reset", RateLimit(time.Second, RetryReset)),
		"unavailable":      some("503 with Retry-After: 1", Unavailable(time.Second, RetrySeconds)),
		"errors":           some("500, 502 or 504", ServerError(500), ServerError(502), ServerError(504)),
		"reset":            some("the connection breaks", Reset()),
		"close":            some("the connection is closed without an answer", Close()),
		"truncate":         some("the body breaks off", Truncate(0.7)),
		"hang":             some("no answer", Hang()),
		"slow":             some("two seconds more", Slow(2*time.Second)),
		"login-page":       some("200 with the login page", LoginPage()),
		"login-redirect":   some("302 to the login page", LoginRedirect()),
		"empty":            some("200 with a false empty list", EmptyList()),
		"malformed":        some("200 with broken JSON", MalformedJSON()),
		"repeat":           some("the page before once more", RepeatPage()),
		"poison":           some("a record that is null", NullRecord(0)),
		"insertion-order":  always("records in the order of their arrival", func(q *Quirks) { q.InsertionOrder = true }),
		"ascending":        always("oldest first", func(q *Quirks) { q.Ascending = true }),
		"shuffle-ties":     always("ties in another order each time", func(q *Quirks) { q.ShuffleTies = true }),
		"second-dates":     always("dates in whole seconds", func(q *Quirks) { q.SecondPrecisionDates = true }),
		"second-bounds":    always("bounds in whole seconds", func(q *Quirks) { q.SecondPrecisionBounds = true }),
		"exclusive-bounds": always("bounds that leave themselves out", func(q *Quirks) { q.ExclusiveBounds = true }),
		"ignore-offset":    always("the first page whatever the offset", func(q *Quirks) { q.IgnoreOffset = true }),
		"hide-dated":       always("nothing where dates are asked for", func(q *Quirks) { q.DatedBefore = 1 }),
		"wrong-total":      always("a total that is too small", func(q *Quirks) { q.TotalLie = TotalTooSmall }),
		"cursor-refused":   always("the organisation's cursors are good for a minute", func(q *Quirks) { q.CursorLife = time.Minute }),
		"cursor-dead":      always("the organisation's cursors show nothing", func(q *Quirks) { q.CursorDead = true }),
		"clamp": {"100", "at most so many records a page", func(s *Server, value string) error {
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 {
				return fmt.Errorf("%q is not a number of records from 1 on", value)
			}
			for _, p := range simulated {
				s.UpdateQuirks(p, func(q *Quirks) { q.MaxPage = n })
			}
			return nil
		}},
		"clock-skew": {"20m", "a Date header that is off by so much", func(s *Server, value string) error {
			d, err := time.ParseDuration(value)
			if err != nil {
				return fmt.Errorf("%q is not a duration such as 20m or -20m", value)
			}
			for _, p := range simulated {
				s.UpdateQuirks(p, func(q *Quirks) { q.ClockSkew = d })
			}
			return nil
		}},
	}
}
