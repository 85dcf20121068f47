package preview

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"atlassian_audit_records/check"
	"atlassian_audit_records/internal/assettest"
	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// MadeUpSpan is how far back the made-up records reach, and madeUpStep how
// often the check reads them: as often as a page has steps.
const (
	MadeUpSpan = 7 * 24 * time.Hour
	madeUpStep = 3 * time.Hour
)

var statusNames = map[check.Status]string{
	check.StatusOK: "ok", check.StatusWarning: "warning", check.StatusCritical: "critical", check.StatusUnknown: "unknown",
}

// MadeUp is what the check makes of a simulated site and its organisation in the week before now:
// working days on which nothing is wrong, and every attack story that there is,
// spread over them. The check runs in this process, below folder, on a clock
// that is wound on; what it reports is data, too.
func MadeUp(ctx context.Context, folder string, now time.Time) (Data, error) {
	at := now.Add(-MadeUpSpan)
	clock := func() time.Time { return at }
	site := atlassiantest.New(atlassiantest.Options{Seed: 1, Now: clock})
	waiting := records(at, now)
	var configs []*check.Config
	for _, text := range []string{
		"site: " + atlassiantest.DefaultSiteURL + "\nauth: {type: api_token, email: " + atlassiantest.DefaultEmail + ", api_token: " + atlassiantest.DefaultClassicToken + "}",
		"organization: " + atlassiantest.DefaultOrganizationID + "\nauth: {type: organization_api_key, organization_api_key: " + atlassiantest.DefaultOrganizationKey + "}",
	} {
		c, err := check.Parse(nil, []byte(text+"\nmin_collection_interval: 60"), check.Env{RunPath: folder})
		if err != nil {
			return Data{}, fmt.Errorf("configure the check of the simulated site: %w", err)
		}
		configs = append(configs, c)
	}
	data := Data{Reported: true, Places: assettest.MadeUpPlaces()}
	seen := map[string]bool{}
	for at.Before(now) {
		at = at.Add(min(madeUpStep, now.Sub(at)))
		for product, recs := range waiting {
			n, _ := slices.BinarySearchFunc(recs, at, func(r atlassiantest.Record, t time.Time) int { return r.Created.Compare(t) })
			site.Add(product, recs[:n]...)
			waiting[product] = recs[n:]
		}
		rec := &check.Recorder{}
		for _, c := range configs {
			res := check.Run(ctx, c, check.Options{Version: "preview", Now: clock, Transport: site.Transport(), RequestsPerSecond: -1}, rec)
			if ctx.Err() != nil {
				return Data{}, ctx.Err()
			}
			if res.Error != "" {
				return Data{}, errors.New("the check of the simulated site failed: " + res.Error)
			}
		}
		data.Checks = nil
		for _, s := range rec.Recorded().ServiceChecks {
			data.Checks = append(data.Checks, Check{Name: s.Name, Status: statusNames[s.Status], Tags: s.Tags})
		}
		for _, m := range rec.Recorded().Metrics {
			data.Points = append(data.Points, assettest.Point{Name: m.Name, Value: m.Value, Tags: m.Tags, Time: at.Add(-time.Second)})
		}
		if err := data.deliver(folder, seen, at); err != nil {
			return Data{}, err
		}
	}
	return data, nil
}

// deliver adds the lines that came since the last time, and lets the check
// believe that an Agent delivered them, which no healthy one fails to do.
func (d *Data) deliver(folder string, seen map[string]bool, now time.Time) error {
	spool, err := Spooled(agent.Base(folder), 1<<20)
	if err != nil {
		return err
	}
	for _, l := range spool.Lines {
		if text := string(l.Text); !seen[text] {
			seen[text] = true
			d.Lines = append(d.Lines, l)
		}
	}
	registry := agent.Registry{Files: map[string]agent.RegistryEntry{}}
	for _, f := range spool.Files {
		info, err := os.Stat(f)
		if err != nil {
			return fmt.Errorf("look at a file of the spool: %w", err)
		}
		registry.Files[f] = agent.RegistryEntry{Offset: info.Size(), LastUpdated: now}
	}
	if err := agent.WriteRegistry(filepath.Join(folder, agent.RegistryName), registry); err != nil {
		return fmt.Errorf("write the simulated Agent's registry: %w", err)
	}
	return nil
}

// records are what happens between two moments, by product, oldest first.
func records(from, to time.Time) map[string][]atlassiantest.Record {
	out := map[string][]atlassiantest.Record{}
	add := func(product string, recs []atlassiantest.Record) {
		for _, r := range recs {
			if r.Created.After(from) && r.Created.Before(to) {
				out[product] = append(out[product], r)
			}
		}
	}
	for _, product := range []string{atlassiantest.Jira, atlassiantest.Confluence, atlassiantest.Organization} {
		for day := from; day.Before(to.Add(24 * time.Hour)); day = day.Add(24 * time.Hour) {
			add(product, atlassiantest.OrdinaryDay(product, 7, day))
		}
	}
	stories := atlassiantest.Stories()
	for i, s := range stories {
		add(s.Product, s.Records(from.Add(to.Sub(from)/time.Duration(len(stories)+1)*time.Duration(i+1))))
	}
	for _, recs := range out {
		slices.SortStableFunc(recs, func(a, b atlassiantest.Record) int { return a.Created.Compare(b.Created) })
	}
	return out
}
