package preview

import (
	"cmp"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strings"

	"atlassian_audit_records/assets"
	"atlassian_audit_records/internal/assettest"
)

// The attributes that stand in for places where nobody knows those: the network
// of the address; the country that the record itself gives, which only the
// organisation's log does, else the network.
const (
	networkPath = "preview.network"
	countryPath = "preview.country"
)

// leftOut counts lines that are not shown: dated outside of the time, or no log lines.
type leftOut struct{ outside, unreadable int }

// logsOf are the lines behind the pipelines, oldest first. Of lines about the same
// record one is kept.
func logsOf(data Data, o Options) (logs []assettest.Log, left leftOut, err error) {
	pipes, err := pipelines()
	if err != nil {
		return nil, left, err
	}
	seen := map[string]bool{}
	for _, line := range data.Lines {
		l, err := assettest.ParseLine(line.Text)
		if err != nil {
			left.unreadable++
			continue
		}
		if id := l.First("atlassian.record_id"); id != "" {
			key := strings.Join([]string{l.First("atlassian.site"), l.First("atlassian.product"), id}, "\x00")
			if seen[key] {
				continue
			}
			seen[key] = true
		}
		for _, p := range pipes {
			l = p.Run(l, data.Places)
		}
		if l.Time.IsZero() {
			l.Time = line.At
		}
		if l.Time.Before(o.From) || l.Time.After(o.To) {
			left.outside++
			continue
		}
		if data.Places == nil {
			n := network(l.First("network.client.ip"))
			country := cmp.Or(l.First("attributes.location.countryName"), n)
			for path, value := range map[string]string{networkPath: n, countryPath: country} {
				if value != "" {
					l.Set(path, value)
				}
			}
		} else {
			l = data.Places.Warn(l)
		}
		logs = append(logs, l)
	}
	slices.SortStableFunc(logs, func(a, b assettest.Log) int { return a.Time.Compare(b.Time) })
	return logs, left, nil
}

// network is the /24 or /48 of an address: about what one customer is given.
func network(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return ""
	}
	bits := 48
	if a = a.Unmap(); a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

func pipelines() ([]*assettest.Pipeline, error) {
	names, err := fs.Glob(assets.Files, "logs/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list the pipelines: %w", err)
	}
	var out []*assettest.Pipeline
	for _, name := range names {
		if strings.HasSuffix(name, "_tests.yaml") {
			continue
		}
		text, err := assets.Files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path.Base(name), err)
		}
		p, err := assettest.ParsePipeline(text)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path.Base(name), err)
		}
		out = append(out, p)
	}
	return out, nil
}
