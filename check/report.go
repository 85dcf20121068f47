package check

import (
	"slices"
	"sync"

	"atlassian_audit_records/pkg/audit"
)

// MetricPrefix begins the name of every metric of the check.
const MetricPrefix = "atlassian.audit_records."

// The names of the service checks.
const (
	// CanConnect is about reaching Atlassian with the credential.
	CanConnect = "atlassian_audit_records.can_connect"
	// IsCurrent is about the records being collected up to the present.
	IsCurrent = "atlassian_audit_records.is_current"
)

// MetricInfo describes a metric, as metadata.csv needs it.
type MetricInfo struct {
	// Name lacks the prefix.
	Name string
	Type MetricType
	// Unit is one of Datadog's units, or empty.
	Unit        string
	Description string
	// PerProduct tells a metric about one product from one about the instance.
	PerProduct bool
	// Orientation is 1 where more is better, -1 where less is, 0 where neither.
	Orientation int
	// Short is the name in lists.
	Short string
}

// The metrics of the check, without the prefix.
const (
	MetricLag              = "lag"
	MetricGap              = "gap"
	MetricRecords          = "records"
	MetricDuplicates       = "duplicates"
	MetricOwnSearches      = "own_searches"
	MetricLate             = "late"
	MetricUndated          = "undated"
	MetricTruncated        = "truncated"
	MetricRequests         = "requests"
	MetricThrottled        = "throttled"
	MetricErrors           = "errors"
	MetricUndeliveredBytes = "undelivered.bytes"
	MetricUndeliveredAge   = "undelivered.age"
	MetricSpoolSize        = "spool.size"
	MetricRunDuration      = "run.duration"
	MetricExpiresIn        = "auth.expires_in"
)

// Metrics describes every metric of the check. assets/metadata.csv says the same.
func Metrics() []MetricInfo {
	return []MetricInfo{
		{MetricLag, Gauge, "second", "Time since the audit records were last read up to the present.", true, -1, "lag"},
		{MetricGap, Gauge, "second", "Length of the time spans that are wanted and not read yet.", true, -1, "gap"},
		{MetricRecords, Count, "record", "Audit records newly written to the spool.", true, 0, "records"},
		{MetricDuplicates, Count, "record", "Audit records that were read again, recognised and dropped.", true, 0, "duplicates"},
		{MetricOwnSearches, Count, "record", "Records that Data Center wrote of the check's own searches of the audit log. They are left out.", true, 0, "own searches"},
		{MetricLate, Count, "record", "Audit records too old, when spooled, for Datadog to accept under their own date.", true, -1, "late records"},
		{MetricUndated, Count, "record", "Audit records whose date is missing or unreadable.", true, -1, "undated records"},
		{MetricTruncated, Count, "record", "Audit records delivered reduced because they are longer than a log may be.", true, -1, "truncated records"},
		{MetricRequests, Count, "request", "Requests to the audit API.", true, 0, "requests"},
		{MetricThrottled, Count, "request", "Answers in which Atlassian asked to wait.", true, -1, "throttled requests"},
		{MetricErrors, Count, "error", "Runs that failed for the product, tagged with the reason.", true, -1, "failed runs"},
		{MetricUndeliveredBytes, Gauge, "byte", "Bytes in the spool that the Agent has not delivered yet. Sent where that is known.", true, -1, "undelivered bytes"},
		{MetricUndeliveredAge, Gauge, "second", "How long the oldest undelivered bytes have been in the spool. Sent where that is known.", true, -1, "undelivered age"},
		{MetricSpoolSize, Gauge, "byte", "Size of the spool on disk, delivered files included.", false, 0, "spool size"},
		{MetricRunDuration, Gauge, "second", "Duration of the run.", false, -1, "run duration"},
		{MetricExpiresIn, Gauge, "second", "Time until the credential expires, negative afterwards. Sent where that is known.", false, 1, "credential expires in"},
	}
}

// ServiceCheckInfo describes a service check, as service_checks.json needs it.
type ServiceCheckInfo struct {
	Name        string
	Title       string
	Statuses    []Status
	Description string
}

// ServiceChecks describes every service check. assets/service_checks.json says
// the same, docs/service-checks.md more.
func ServiceChecks() []ServiceCheckInfo {
	return []ServiceCheckInfo{
		{CanConnect, "Can connect", []Status{StatusOK, StatusWarning, StatusCritical, StatusUnknown},
			"Returns `CRITICAL` if Atlassian refuses the credential or cannot be reached, or if the credential's known day of expiry has passed, " +
				"`WARNING` if that day is less than 30 days away, `UNKNOWN` if Atlassian was not asked. Returns `OK` otherwise."},
		{IsCurrent, "Is current", []Status{StatusOK, StatusWarning, StatusCritical},
			"Returns `WARNING` if audit records are behind, and `CRITICAL` if they have been for longer than the documented thresholds, " +
				"or if Atlassian withholds records. Returns `OK` if everything up to the present has been read."},
	}
}

// Report takes what a run has to say: a Writer for the Agent, a Recorder for
// the command check.
type Report interface {
	ServiceCheck(ServiceCheck)
	Metric(Metric)
	Event(Event)
	Log(level, message string)
	Warning(message string)
}

var (
	_ Report = (*Writer)(nil)
	_ Report = (*Recorder)(nil)
)

// Sender sends an instance's service checks, metrics and events with the tags
// that belong to them. It may be used by several goroutines.
type Sender struct {
	report        Report
	tags          []string // the instance's, then the site
	serviceChecks bool
	types         map[string]MetricType
}

// NewSender reports about the instance c to r.
func NewSender(r Report, c *Config) *Sender {
	types := map[string]MetricType{}
	for _, m := range Metrics() {
		types[m.Name] = m.Type
	}
	return &Sender{
		report:        r,
		tags:          siteTags(c),
		serviceChecks: c.ServiceChecks,
		types:         types,
	}
}

// siteTags are the instance's tags and what names the site. A context path has a
// tag of its own: two products of Data Center may share a host.
func siteTags(c *Config) []string {
	tags := append(slices.Clone(c.Tags), "site:"+c.siteHost())
	if c.Organization != "" {
		tags = append(tags, "organization:"+c.Organization)
	}
	if c.Path() != "" {
		tags = append(tags, "context_path:"+c.Path())
	}
	return tags
}

// Tags are those of everything that is about the product; "" is none.
func (s *Sender) Tags(p audit.Product) []string {
	tags := slices.Clone(s.tags)
	if p != "" {
		tags = append(tags, "product:"+string(p))
	}
	return tags
}

// ServiceCheck sends the outcome for a product, or for the instance where
// that is "", unless the instance wants no service checks.
func (s *Sender) ServiceCheck(name string, p audit.Product, status Status, message string) {
	if s.serviceChecks {
		s.report.ServiceCheck(ServiceCheck{Name: name, Status: status, Tags: s.Tags(p), Message: message})
	}
}

// Metric sends a value of one of Metrics, named without the prefix, for a
// product, or for the instance where that is "". A name that Metrics does not
// have is sent as a gauge. more are tags of this value alone.
func (s *Sender) Metric(name string, p audit.Product, value float64, more ...string) {
	t, ok := s.types[name]
	if !ok {
		t = Gauge
	}
	s.report.Metric(Metric{MetricType: t, Name: MetricPrefix + name, Value: value, Tags: append(s.Tags(p), more...)})
}

// Event sends an event; alert is info, success, warning or error. Events with
// one key are shown together.
func (s *Sender) Event(p audit.Product, alert, title, text, key string) {
	s.report.Event(Event{Title: title, Text: text, AlertType: alert, Tags: s.Tags(p), AggregationKey: key})
}

// Recorded is what a Recorder took.
type Recorded struct {
	ServiceChecks []ServiceCheck `json:"service_checks"`
	Metrics       []Metric       `json:"metrics"`
	Events        []Event        `json:"events"`
	Logs          []LogLine      `json:"logs"`
	Warnings      []string       `json:"warnings"`
}

// LogLine is a line for the log.
type LogLine struct {
	Level   string `json:"level"`
	Message string `json:"message"`
}

// Recorder keeps what it is told, in order. Its zero value is ready for use,
// by several goroutines.
type Recorder struct {
	mu   sync.Mutex
	kept Recorded
}

// ServiceCheck keeps one.
func (r *Recorder) ServiceCheck(s ServiceCheck) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept.ServiceChecks = append(r.kept.ServiceChecks, s)
}

// Metric keeps one.
func (r *Recorder) Metric(m Metric) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept.Metrics = append(r.kept.Metrics, m)
}

// Event keeps one.
func (r *Recorder) Event(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept.Events = append(r.kept.Events, e)
}

// Log keeps a line.
func (r *Recorder) Log(level, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept.Logs = append(r.kept.Logs, LogLine{level, message})
}

// Warning keeps one.
func (r *Recorder) Warning(message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept.Warnings = append(r.kept.Warnings, message)
}

// Recorded is a copy of what was kept; its lists are empty, never nil.
func (r *Recorder) Recorded() Recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Recorded{
		ServiceChecks: append([]ServiceCheck{}, r.kept.ServiceChecks...),
		Metrics:       append([]Metric{}, r.kept.Metrics...),
		Events:        append([]Event{}, r.kept.Events...),
		Logs:          append([]LogLine{}, r.kept.Logs...),
		Warnings:      append([]string{}, r.kept.Warnings...),
	}
}
