package check

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/DataDog/datadog-agent/pkg/util/log"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/auth"
)

const (
	// maxBudget is the longest that one run goes on asking for more: the Agent
	// has four check runners, and a run holds one of them.
	maxBudget = 30 * time.Second
	// minLimit is the least that a request under way is given.
	minLimit = 5 * time.Second
	// connectTimeout bounds the making of a connection.
	connectTimeout = 10 * time.Second
)

// Options are what a run needs besides the configuration.
type Options struct {
	// Agent is what the Agent told of itself; the zero value where there is none.
	Agent AgentInfo
	// Version is this program's, for Atlassian and for messages.
	Version string
	// Conf is the path of the configuration, for commands that a message names;
	// empty is the Agent's own.
	Conf string
	// Now is the wall clock; nil is time.Now.
	Now func() time.Time
	// Transport carries the requests in place of the network; nil is the one
	// that the configuration describes.
	Transport http.RoundTripper
	// RequestsPerSecond bounds the pace of asking; 0 is the client's default,
	// below 0 no bound.
	RequestsPerSecond float64
	// FreeSpace answers the bytes that are free on the file system of a path; nil
	// asks the system.
	FreeSpace func(path string) (int64, error)
	// OpenShared opens the store through which machines share sites; nil is for a
	// program that cannot.
	OpenShared OpenShared
	// Lease is how long a site's lease lasts; 0 is LeaseTime.
	Lease time.Duration
	// PageSize is the number of records asked for at once; 0 is Atlassian's most.
	PageSize int

	// anonymous leaves the credential out, and keepNoToken the file of issued
	// tokens of service accounts: for a diagnosis.
	anonymous, keepNoToken bool
	// vault is where the consents of apps are, where machines share them.
	vault auth.Vault
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.FreeSpace == nil {
		o.FreeSpace = agent.FreeSpace
	}
	return o
}

// StreamResult is what a run did about one product.
type StreamResult struct {
	// Instance is the site's host.
	Instance string        `json:"instance"`
	Product  audit.Product `json:"product"`
	// Records are new in the spool, Requests were sent to the audit API alone,
	// Duplicates were recognised and dropped.
	Records    int `json:"records"`
	Requests   int `json:"requests"`
	Duplicates int `json:"duplicates"`
	// Error is nil when the run did its work or had to wait.
	Error *string `json:"error"`
}

// Result is how a run ended.
type Result struct {
	// Streams has one entry for each product, in the configuration's order.
	Streams []StreamResult
	// Error is empty when the run did its work or had to wait; else it has one
	// sentence for each thing that is wrong, joined by "; ".
	Error string
}

// Budget is how long one run of the instance goes on asking for more, and Limit
// when it is ended whatever it waits for, both from its start. What lies between
// them is for the request under way and the millisecond that is being read.
func Budget(c *Config) (budget, limit time.Duration) {
	budget = min(maxBudget, c.Interval/2)
	return budget, max(2*budget, minLimit)
}

// Collect is one run as an adapter asks for it: the request's configuration is
// read, and Run does the rest. armed, where it is not nil, is told the limit of
// the run before anything is done that could take long.
func Collect(ctx context.Context, req *Request, o Options, env Env, r Report, armed func(limit time.Duration)) Result {
	o.Agent = req.Agent
	env.RunPath, env.Proxy = agentRunPath(req.Agent), req.Agent.Proxy
	c, err := Parse(req.InitConfig, req.Instance, env)
	if err != nil {
		return Result{Error: withCode("the configuration is not valid: "+err.Error(), CodeConfig)}
	}
	if armed != nil {
		_, limit := Budget(c)
		armed(limit)
	}
	return Run(ctx, c, o, r)
}

// agentRunPath is the run path of the Agent that asks.
func agentRunPath(a AgentInfo) string {
	if a.RunPath != "" {
		return a.RunPath
	}
	return agent.RunPath()
}

// RequestRunPath is the run path of a request, as Collect would have it, read
// from a configuration of which the rest may be wrong.
func RequestRunPath(req *Request) string {
	ps := &problems{}
	init := newSection(ps, document(ps, req.InitConfig, "init_config"), "init_config", initSection, true)
	if path, ok := init.absolute("run_path"); ok {
		return path
	}
	return agentRunPath(req.Agent)
}

// FileRunPath is the run path of the first file of a configuration that says
// one, or env's. What is wrong with the rest does not matter here.
func FileRunPath(path string, env Env) string {
	paths, err := configFiles(path)
	if err != nil {
		return env.RunPath // ParseFile tells
	}
	for _, p := range paths {
		text, err := readConfigFile(p)
		if err != nil {
			continue
		}
		ps := &problems{}
		file := newSection(ps, document(ps, text, ""), "", fileSection, true)
		f, ok := file.fields["init_config"]
		if !ok {
			continue
		}
		if path, ok := newSection(ps, f.value, "init_config", initSection, true).absolute("run_path"); ok {
			return path
		}
	}
	return env.RunPath
}

// Run runs one instance once and reports to r. It comes back within the limit
// of Budget, give or take what a disk may take, or soon after ctx ends.
func Run(ctx context.Context, c *Config, o Options, r Report) (res Result) {
	o = o.withDefaults()
	secrets := slices.DeleteFunc(c.Secrets(), func(s string) bool { return len(s) < 4 }) // would garble every message
	r = redacting{r, secrets}
	began := o.Now()
	sender := NewSender(r, c)
	run := &run{config: c, options: o, report: r, sender: sender, folders: foldersOf(c.RunPath, c.Name()), began: began, secrets: secrets}
	defer func() {
		if mistake := recover(); mistake != nil {
			log.Debugf("the run failed: %v\n%s", mistake, debug.Stack())
			run.streams = nil
			for _, p := range c.Products {
				run.streams = append(run.streams, &stream{product: p, err: &coded{CodeProgram, fmt.Errorf(
					"the run failed by a mistake in this program (%v): nothing is lost; please report it with the version, %s", mistake, o.Version)}})
			}
			res = run.result()
			res.redact(secrets)
		}
	}()
	defer run.close()

	budget, limit := Budget(c)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	run.warnings()
	run.expiry(began)
	run.collect(ctx, began.Add(budget))
	res = run.result()
	sender.Metric(MetricRunDuration, "", o.Now().Sub(began).Seconds())
	res.redact(secrets)
	return res
}

// warnings tells what the operator should know of whatever the run does.
func (r *run) warnings() {
	for _, w := range r.config.Warnings {
		r.report.Warning(w.String())
	}
	a := r.options.Agent
	if tooOld(a.Version) {
		r.report.Warning(withCode(fmt.Sprintf("the Agent's version is %s, and versions before 7.77 refuse `start_position: beginning` on a wildcard, "+
			"so that no audit records are sent: update the Agent", a.Version), CodeAgentTooOld))
	}
	if a.LogsEnabled != nil && !*a.LogsEnabled {
		r.report.Warning(withCode("the Agent collects no logs, so that audit records are spooled, but not sent: set `logs_enabled: true` in datadog.yaml and restart the Agent", CodeLogsDisabled))
	}
}

// tooOld reports an Agent before 7.77; what is no version is not judged.
func tooOld(version string) bool {
	var major, minor int
	if n, err := fmt.Sscanf(version, "%d.%d", &major, &minor); n < 2 || err != nil {
		return false
	}
	return major < 7 || major == 7 && minor < 77
}

// result gathers the products' outcomes.
func (r *run) result() Result {
	res := Result{Streams: []StreamResult{}}
	var sentences []string
	for _, s := range r.streams {
		out := s.result(r.config.Name())
		if out.Error != nil && !slices.Contains(sentences, *out.Error) {
			sentences = append(sentences, *out.Error)
		}
		res.Streams = append(res.Streams, out)
	}
	res.Error = strings.Join(sentences, "; ")
	return res
}

func (res *Result) redact(secrets []string) {
	res.Error = redact(res.Error, secrets)
	for i := range res.Streams {
		if e := res.Streams[i].Error; e != nil {
			text := redact(*e, secrets)
			res.Streams[i].Error = &text
		}
	}
}

// redacting is a Report from whose texts the secrets are taken. It is the last
// of several safeguards: no text should hold one.
type redacting struct {
	Report
	secrets []string
}

func (r redacting) ServiceCheck(s ServiceCheck) {
	s.Message = redact(s.Message, r.secrets)
	r.Report.ServiceCheck(s)
}

func (r redacting) Event(e Event) {
	e.Title, e.Text = redact(e.Title, r.secrets), redact(e.Text, r.secrets)
	r.Report.Event(e)
}

func (r redacting) Log(level, message string) { r.Report.Log(level, redact(message, r.secrets)) }

func (r redacting) Warning(message string) { r.Report.Warning(redact(message, r.secrets)) }
