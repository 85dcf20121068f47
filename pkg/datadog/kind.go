package datadog

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// A Kind is a kind of asset.
type Kind string

// The kinds, by the names that a person gives them.
const (
	Pipelines  Kind = "pipelines"
	Dashboards Kind = "dashboards"
	Monitors   Kind = "monitors"
	Rules      Kind = "rules"
)

// Kinds are all of them, in the order of installation: attributes first, then
// what looks at them.
func Kinds() []Kind { return []Kind{Pipelines, Dashboards, Monitors, Rules} }

// One is the kind's name for one thing.
func (k Kind) One() string { return kindOf[k].one }

// manner is how the API treats a kind (datadog-api-client-go v2.67.0: api_*.go).
type manner struct {
	one   string
	files string // where the assets lie
	path  string // of the API
	title string // the field with what people see
	// rights are what the application key needs, to read and to write.
	rights string
	// created is the field with the moment of creation; empty where there is
	// none, and the list's order stands for it.
	created string
	// size and page are the query parameters of paging; empty is one page.
	size, page string
	// byOffset: page counts things, not pages.
	byOffset bool
	// perPage is the largest page.
	perPage int
	// data is the field of a list's answer with the things; empty: it is a list.
	data string
	// summary: the list does not hold the whole thing.
	summary bool
}

var kindOf = map[Kind]manner{
	Pipelines: {
		one: "pipeline", files: "logs/*.yaml", path: "/api/v1/logs/config/pipelines", title: "name",
		rights: "logs_read_config and logs_write_pipelines",
	},
	Dashboards: {
		one: "dashboard", files: "dashboards/*.json", path: "/api/v1/dashboard", title: "title",
		rights: "dashboards_read and dashboards_write", created: "created_at",
		size: "count", page: "start", byOffset: true, perPage: 100, data: "dashboards", summary: true,
	},
	Monitors: {
		one: "monitor", files: "monitors/*.json", path: "/api/v1/monitor", title: "name",
		rights: "monitors_read and monitors_write", created: "created",
		size: "page_size", page: "page", perPage: 100,
	},
	Rules: {
		one: "rule", files: "security/*.json", path: "/api/v2/security_monitoring/rules", title: "name",
		rights: "security_monitoring_rules_read and security_monitoring_rules_write, and the organisation Cloud SIEM", created: "createdAt",
		size: "page[size]", page: "page[number]", perPage: 100, data: "data",
	},
}

// thing is what an organisation has.
type thing struct {
	id, title string
	body      map[string]any
	place     int // in the list
}

// mostPages bounds a list.
const mostPages = 1000

// list is everything of a kind in the organisation, a page at a time until one
// is empty: total counts are not given by every kind.
func (c *Client) list(ctx context.Context, k Kind) ([]thing, error) {
	m := kindOf[k]
	var out []thing
	seen := map[string]bool{}
	for n := range mostPages {
		query := url.Values{}
		if m.size != "" {
			at := n
			if m.byOffset {
				at = len(out)
			}
			query.Set(m.size, strconv.Itoa(m.perPage))
			query.Set(m.page, strconv.Itoa(at))
		}
		answer, err := c.call(ctx, http.MethodGet, m.path, query, nil)
		if err != nil {
			return nil, err
		}
		page, ok := answer.([]any)
		if m.data != "" {
			fields, _ := answer.(map[string]any)
			page, ok = fields[m.data].([]any)
			ok = ok || fields != nil && fields[m.data] == nil
		}
		if !ok {
			return nil, fmt.Errorf("the list of %s is none; is %s Datadog's API?", k, c.base)
		}
		before := len(seen)
		for _, one := range page {
			body, _ := one.(map[string]any)
			t := thing{id: text(body["id"]), title: text(body[m.title]), body: body, place: len(out)}
			if body == nil || t.id == "" {
				return nil, fmt.Errorf("the list of %s holds something without an id", k)
			}
			if !seen[t.id] {
				seen[t.id] = true
				out = append(out, t)
			}
		}
		// A server that ignores paging gives the same page again.
		if m.size == "" || len(seen) == before {
			return out, nil
		}
	}
	return nil, fmt.Errorf("the list of %s does not end after %d pages", k, mostPages)
}

// whole is the thing itself, where the list holds a summary.
func (c *Client) whole(ctx context.Context, k Kind, t thing) (thing, error) {
	if !kindOf[k].summary {
		return t, nil
	}
	answer, err := c.call(ctx, http.MethodGet, kindOf[k].path+"/"+url.PathEscape(t.id), nil, nil)
	if err != nil {
		return t, err
	}
	body, ok := answer.(map[string]any)
	if !ok {
		return t, fmt.Errorf("the %s %s is no object", kindOf[k].one, t.id)
	}
	t.body, t.title = body, text(body[kindOf[k].title])
	return t, nil
}

// text is a string or number as text, and "" for anything else.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case interface{ String() string }: // json.Number
		return v.String()
	}
	return ""
}
