package preview

import (
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strings"

	"atlassian_audit_records/assets"
	"atlassian_audit_records/internal/assettest"
)

// networkPath is the attribute that stands in for a place where nobody knows one.
const networkPath = "preview.network"

// logsOf are the lines behind the pipelines, oldest first, and how many of them
// lie outside of the time that is shown. Of lines about the same record one is kept.
func logsOf(data Data, o Options) (logs []assettest.Log, outside int, err error) {
	pipes, err := pipelines()
	if err != nil {
		return nil, 0, err
	}
	seen := map[string]bool{}
	for _, line := range data.Lines {
		l, err := assettest.ParseLine(line.Text)
		if err != nil {
			return nil, 0, err
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
			outside++
			continue
		}
		if data.Places == nil {
			if n := network(l.First("network.client.ip")); n != "" {
				l.Set(networkPath, n)
			}
		} else {
			l = data.Places.Warn(l)
		}
		logs = append(logs, l)
	}
	slices.SortStableFunc(logs, func(a, b assettest.Log) int { return a.Time.Compare(b.Time) })
	return logs, outside, nil
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
	names, err := fs.Glob(assets.Pipelines, "logs/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list the pipelines: %w", err)
	}
	var out []*assettest.Pipeline
	for _, name := range names {
		text, err := assets.Pipelines.ReadFile(name)
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
