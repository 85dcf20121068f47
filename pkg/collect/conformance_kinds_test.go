package collect_test

import (
	"context"
	"hash/fnv"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/auth"
	"atlassian_audit_records/pkg/collect"
)

// kind is a kind of source: the same promise is kept, and proven by the same
// rows, for each.
type kind struct {
	name    string
	product audit.Product
	// ids: the source gives its records ids.
	ids bool
	// dates are the names of the fields in which a record may say its date.
	dates []string
	// light: the kind shares its code with another one, which goes through
	// everything. It goes through every test, but (where it is not quiet) a third of the rows of a table,
	// another one for each kind, and a part of what is tried at each request or
	// operation in turn; `make conformance` lets it go through all.
	light bool
	// quiet: nothing is asked over a network, so that no answer can be slow, false
	// or missing.
	quiet bool
	// shown is a record as this source shows it; nil is as the server serves it.
	shown func(raw []byte) []byte
	// server is the simulated Atlassian.
	server func(seed uint64) *atlassiantest.Server
	// open is the source as the check opens it, with what is remembered.
	open func(ctx context.Context, s *site, p audit.Position) (opened, error)
}

// isLight tells whether the kind goes through a part only.
func (k kind) isLight() bool { return k.light && os.Getenv("CONFORMANCE") != "all" }

// stride is how far apart the requests and operations lie that are tried in turn.
func (k kind) stride() int {
	if k.isLight() {
		return 5
	}
	return 1
}

// takes tells whether the kind goes through the test of that name.
func (k kind) takes(name string) bool {
	_, row, isRow := strings.Cut(name, "/")
	if !k.isLight() || k.quiet || !isRow {
		return true
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(k.name + row)) // a hash does not fail
	return h.Sum32()%3 == 0
}

// opened is a source in one run.
type opened struct {
	source interface {
		collect.Source
		Route() string
		Requests() int
	}
	stream audit.Stream
	// now is the source's clock as far as it is known.
	now func() time.Time
}

// kinds are all sources.
var kinds = []kind{
	{
		name: "jira", product: audit.Jira, ids: true, dates: []string{"created"},
		server: cloud, open: openCloud,
	},
	{
		name: "confluence", product: audit.Confluence, dates: []string{"creationDate"},
		server: cloud, open: openCloud,
	},
	{
		name: "jira data center", product: audit.Jira, dates: []string{"timestamp"},
		server: dataCenter(false), open: openDataCenter,
	},
	{
		name: "confluence data center", product: audit.Confluence, dates: []string{"timestamp"}, light: true,
		server: dataCenter(false), open: openDataCenter,
	},
	{
		name: "jira data center's files", product: audit.Jira, dates: []string{"timestamp"}, light: true, quiet: true,
		shown: atlassiantest.LogLine, server: writingFiles, open: openFiles,
	},
	{
		name: "jira server", product: audit.Jira, ids: true, dates: []string{"created"}, light: true,
		server: dataCenter(true), open: openDataCenter,
	},
	{
		name: "confluence server", product: audit.Confluence, dates: []string{"creationDate"}, light: true,
		server: dataCenter(true), open: openDataCenter,
	},
	{
		// Its message stands elsewhere in a line, since a log has one of its own.
		name: "organization", product: audit.Organization, ids: true, dates: []string{"message"},
		server: cloud, open: openOrganization,
	},
}

func cloud(seed uint64) *atlassiantest.Server {
	return atlassiantest.New(atlassiantest.Options{Seed: seed, Now: time.Now})
}

func openCloud(ctx context.Context, s *site, p audit.Position) (opened, error) {
	at := &url.URL{Scheme: "https", Host: "example.atlassian.net"}
	gateway := &url.URL{Scheme: "https", Host: "api.atlassian.com"}
	o := s.Options()
	credential, err := auth.NewBasic(o.Email, auth.Secret(o.ClassicToken), at, gateway)
	if err != nil {
		return opened{}, err
	}
	client, err := atlassian.New(atlassian.Options{
		Site: at, Gateway: gateway, Transport: s.Transport(), Credential: credential, Now: time.Now, RequestsPerSecond: -1,
	})
	if err != nil {
		return opened{}, err
	}
	id := p.CloudID
	if id == "" {
		if id, err = client.CloudID(ctx); err != nil {
			return opened{}, err
		}
	}
	return opened{
		source: client.Source(s.product, id, p.Route),
		stream: audit.Stream{Site: "example.atlassian.net", CloudID: id, Product: s.product},
		now:    client.Now,
	}, nil
}

// dataCenter is a Data Center, or one so old that it has only what was there
// before the events.
func dataCenter(old bool) func(seed uint64) *atlassiantest.Server {
	return func(seed uint64) *atlassiantest.Server {
		return atlassiantest.New(atlassiantest.Options{Seed: seed, Now: time.Now, DataCenter: &atlassiantest.DataCenter{Old: old}})
	}
}

// filesRoot is where the audit log files of simulated nodes lie.
var filesRoot string

// writingFiles is a node whose files are small, so that there are many.
func writingFiles(seed uint64) *atlassiantest.Server {
	s := dataCenter(false)(seed)
	dir, err := os.MkdirTemp(filesRoot, "node")
	if err != nil {
		panic(err)
	}
	s.LogTo(atlassiantest.Jira, dir, 60_000)
	return s
}

func openFiles(_ context.Context, s *site, _ audit.Position) (opened, error) {
	if err := s.LogError(string(s.product)); err != nil {
		return opened{}, err
	}
	dir := s.LogDir(string(s.product))
	if s.Len(string(s.product)) == 0 { // there is no file before the first event
		if err := os.WriteFile(filepath.Join(dir, "19991231.00000.audit.log"), nil, 0o600); err != nil {
			return opened{}, err
		}
	}
	return opened{
		source: atlassian.NewLogFiles(atlassian.LogFilesOptions{Dir: dir, Site: "products.example.com", Product: s.product, Now: time.Now}),
		stream: audit.Stream{Site: "products.example.com", Path: "/jira", Product: s.product},
		now:    time.Now,
	}, nil
}

func openDataCenter(_ context.Context, s *site, p audit.Position) (opened, error) {
	o := s.Options().DataCenter
	at := &url.URL{Scheme: "https", Host: "products.example.com", Path: o.Paths[string(s.product)]}
	credential, err := auth.NewPersonalAccessToken(auth.Secret(o.PersonalToken), at)
	if err != nil {
		return opened{}, err
	}
	client, err := atlassian.New(atlassian.Options{Site: at, Transport: s.Transport(), Credential: credential, Now: time.Now, RequestsPerSecond: -1})
	if err != nil {
		return opened{}, err
	}
	return opened{
		source: client.DataCenter(atlassian.DataCenterOptions{Product: s.product, Route: p.Route, Asked: p.Asked}),
		stream: audit.Stream{Site: "products.example.com", Path: at.Path, Product: s.product},
		now:    client.Now,
	}, nil
}

func openOrganization(_ context.Context, s *site, _ audit.Position) (opened, error) {
	return openOrganizationAt(s, -1)
}

// openOrganizationPaced asks no faster than the program does by itself.
func openOrganizationPaced(_ context.Context, s *site, _ audit.Position) (opened, error) {
	return openOrganizationAt(s, 0)
}

func openOrganizationAt(s *site, perSecond float64) (opened, error) {
	gateway := &url.URL{Scheme: "https", Host: "api.atlassian.com"}
	o := s.Options()
	credential, err := auth.NewOrganizationKey(auth.Secret(o.OrganizationKey), gateway)
	if err != nil {
		return opened{}, err
	}
	client, err := atlassian.New(atlassian.Options{
		Organization: o.OrganizationID, Gateway: gateway, Transport: s.Transport(), Credential: credential, Now: time.Now, RequestsPerSecond: perSecond,
	})
	if err != nil {
		return opened{}, err
	}
	return opened{
		source: client.Source(s.product, "", ""),
		stream: audit.Stream{Site: "api.atlassian.com", Organization: o.OrganizationID, Product: s.product},
		now:    client.Now,
	}, nil
}

// bound is a bound of a request: "from" or "to", in any of the ways in which it
// is written.
func bound(i atlassiantest.RequestInfo, which string) (time.Time, bool) {
	q, err := url.ParseQuery(i.RawQuery)
	if err != nil || !i.Audit() {
		return time.Time{}, false
	}
	text := q.Get(which)
	if text == "" {
		text = q.Get(map[string]string{"from": "startDate", "to": "endDate"}[which])
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.UnixMilli(ms), true
	}
	at, err := time.Parse(time.RFC3339, text)
	return at, err == nil
}
