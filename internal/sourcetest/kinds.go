package sourcetest

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/auth"
	"atlassian_audit_records/pkg/collect"
)

// Kind is a kind of source: the same promise is kept, and proven by the same
// rows, for each.
type Kind struct {
	Name    string
	Product audit.Product
	// IDs: the source gives its records ids.
	IDs bool
	// Dates are the names of the fields in which a record may say its date.
	Dates []string
	// Light: the kind shares its code with another one, which goes through
	// everything.
	Light bool
	// Quiet: nothing is asked over a network, so that no answer can be slow, false
	// or missing.
	Quiet bool
	// Open is the source as the check opens it, with what is remembered.
	Open func(ctx context.Context, s *Site, p audit.Position, by Asker) (Opened, error)
	// shown is a record as this source shows it; nil is as the server serves it.
	shown func(raw []byte) []byte
	// server is the simulated Atlassian; dir is for what it writes to files.
	server func(seed uint64, dir string) (*atlassiantest.Server, error)
}

// Asker is who asks: the zero value is a program without bounds, whose clock is
// the site's.
type Asker struct {
	// Transport wraps the way to the site; nil leaves it as it is.
	Transport func(http.RoundTripper) http.RoundTripper
	// Now is the asker's clock, and Rand the jitter of its retries; nil for what
	// the client does by itself.
	Now  func() time.Time
	Rand func() float64
	// PerSecond bounds the pace of asking, as atlassian.Options has it; 0 is no bound
	// here, and Paced the program's own.
	PerSecond float64
}

// Paced asks no faster than the program does by itself.
const Paced = -1

func (a Asker) options(s *Site, o atlassian.Options) atlassian.Options {
	o.Transport, o.Now, o.Rand = s.Transport(), a.Now, a.Rand
	if a.Transport != nil {
		o.Transport = a.Transport(o.Transport)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	switch o.RequestsPerSecond = a.PerSecond; a.PerSecond {
	case 0:
		o.RequestsPerSecond = -1
	case Paced:
		o.RequestsPerSecond = 0
	}
	return o
}

// Opened is a source in one run.
type Opened struct {
	Source interface {
		collect.Source
		Route() string
		Requests() int
	}
	Stream audit.Stream
	// Now is the source's clock as far as it is known.
	Now func() time.Time
}

// Kinds are all kinds of source.
func Kinds() []Kind {
	return []Kind{
		{
			Name: "jira", Product: audit.Jira, IDs: true, Dates: []string{"created"},
			server: cloud, Open: openCloud,
		},
		{
			Name: "confluence", Product: audit.Confluence, Dates: []string{"creationDate"},
			server: cloud, Open: openCloud,
		},
		{
			Name: "jira data center", Product: audit.Jira, Dates: []string{"timestamp"},
			server: dataCenter(false), Open: openDataCenter,
		},
		{
			Name: "confluence data center", Product: audit.Confluence, Dates: []string{"timestamp"}, Light: true,
			server: dataCenter(false), Open: openDataCenter,
		},
		{
			Name: "jira data center's files", Product: audit.Jira, Dates: []string{"timestamp"}, Light: true, Quiet: true,
			shown: atlassiantest.LogLine, server: writingFiles, Open: openFiles,
		},
		{
			Name: "jira server", Product: audit.Jira, IDs: true, Dates: []string{"created"}, Light: true,
			server: dataCenter(true), Open: openDataCenter,
		},
		{
			Name: "confluence server", Product: audit.Confluence, Dates: []string{"creationDate"}, Light: true,
			server: dataCenter(true), Open: openDataCenter,
		},
		{
			// Its message stands elsewhere in a line, since a log has one of its own.
			Name: "organization", Product: audit.Organization, IDs: true, Dates: []string{"message"},
			server: cloud, Open: openOrganization,
		},
	}
}

func cloud(seed uint64, _ string) (*atlassiantest.Server, error) {
	return atlassiantest.New(atlassiantest.Options{Seed: seed, Now: time.Now}), nil
}

func openCloud(ctx context.Context, s *Site, p audit.Position, by Asker) (Opened, error) {
	at := &url.URL{Scheme: "https", Host: "example.atlassian.net"}
	gateway := &url.URL{Scheme: "https", Host: "api.atlassian.com"}
	o := s.Options()
	credential, err := auth.NewBasic(o.Email, auth.Secret(o.ClassicToken), at, gateway)
	if err != nil {
		return Opened{}, err
	}
	client, err := atlassian.New(by.options(s, atlassian.Options{Site: at, Gateway: gateway, Credential: credential}))
	if err != nil {
		return Opened{}, err
	}
	id := p.CloudID
	if id == "" {
		if id, err = client.CloudID(ctx); err != nil {
			return Opened{}, err
		}
	}
	return Opened{
		Source: client.Source(s.Product, id, p.Route),
		Stream: audit.Stream{Site: "example.atlassian.net", CloudID: id, Product: s.Product},
		Now:    client.Now,
	}, nil
}

// dataCenter is a Data Center, or one so old that it has only what was there
// before the events.
func dataCenter(old bool) func(seed uint64, dir string) (*atlassiantest.Server, error) {
	return func(seed uint64, _ string) (*atlassiantest.Server, error) {
		return atlassiantest.New(atlassiantest.Options{Seed: seed, Now: time.Now, DataCenter: &atlassiantest.DataCenter{Old: old}}), nil
	}
}

// writingFiles is a node whose files are small, so that there are many.
func writingFiles(seed uint64, dir string) (*atlassiantest.Server, error) {
	s, err := dataCenter(false)(seed, dir)
	if err != nil {
		return nil, err
	}
	if dir, err = os.MkdirTemp(dir, "node"); err != nil {
		return nil, err
	}
	s.LogTo(atlassiantest.Jira, dir, 60_000)
	return s, nil
}

func openFiles(_ context.Context, s *Site, _ audit.Position, by Asker) (Opened, error) {
	if err := s.LogError(string(s.Product)); err != nil {
		return Opened{}, err
	}
	dir := s.LogDir(string(s.Product))
	if s.Len(string(s.Product)) == 0 { // there is no file before the first event
		if err := os.WriteFile(filepath.Join(dir, "19991231.00000.audit.log"), nil, 0o600); err != nil {
			return Opened{}, err
		}
	}
	now := by.Now
	if now == nil {
		now = time.Now
	}
	return Opened{
		Source: atlassian.NewLogFiles(atlassian.LogFilesOptions{Dir: dir, Site: "products.example.com", Product: s.Product, Now: now}),
		Stream: audit.Stream{Site: "products.example.com", Path: "/jira", Product: s.Product},
		Now:    now,
	}, nil
}

func openDataCenter(_ context.Context, s *Site, p audit.Position, by Asker) (Opened, error) {
	o := s.Options().DataCenter
	at := &url.URL{Scheme: "https", Host: "products.example.com", Path: o.Paths[string(s.Product)]}
	credential, err := auth.NewPersonalAccessToken(auth.Secret(o.PersonalToken), at)
	if err != nil {
		return Opened{}, err
	}
	client, err := atlassian.New(by.options(s, atlassian.Options{Site: at, Credential: credential}))
	if err != nil {
		return Opened{}, err
	}
	return Opened{
		Source: client.DataCenter(atlassian.DataCenterOptions{Product: s.Product, Route: p.Route, Asked: p.Asked}),
		Stream: audit.Stream{Site: "products.example.com", Path: at.Path, Product: s.Product},
		Now:    client.Now,
	}, nil
}

func openOrganization(_ context.Context, s *Site, _ audit.Position, by Asker) (Opened, error) {
	gateway := &url.URL{Scheme: "https", Host: "api.atlassian.com"}
	o := s.Options()
	credential, err := auth.NewOrganizationKey(auth.Secret(o.OrganizationKey), gateway)
	if err != nil {
		return Opened{}, err
	}
	client, err := atlassian.New(by.options(s, atlassian.Options{Organization: o.OrganizationID, Gateway: gateway, Credential: credential}))
	if err != nil {
		return Opened{}, err
	}
	return Opened{
		Source: client.Source(s.Product, "", ""),
		Stream: audit.Stream{Site: "api.atlassian.com", Organization: o.OrganizationID, Product: s.Product},
		Now:    client.Now,
	}, nil
}
