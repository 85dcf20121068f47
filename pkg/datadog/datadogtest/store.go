package datadogtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

func clone(v map[string]any) map[string]any {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // it came from JSON
	}
	out, err := parse(text)
	if err != nil {
		panic(err)
	}
	return out
}

func parse(text []byte) (map[string]any, error) {
	var out map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err := d.Decode(&out)
	return out, err
}

// needed are the fields without which a kind is refused.
var needed = map[string][]string{
	Pipelines:  {"name"},
	Dashboards: {"title", "layout_type", "widgets"},
	Monitors:   {"type", "query"},
	Rules:      {"name", "isEnabled", "message", "options", "queries", "cases"},
}

func (s *Server) judged(kind string, text []byte, fields []string) (map[string]any, string) {
	body, err := parse(text)
	if err != nil || body == nil {
		return nil, "Could not decode JSON"
	}
	for _, f := range fields {
		if body[f] == nil {
			return nil, fmt.Sprintf("Missing required field: %s", f)
		}
	}
	if kind == Dashboards {
		tags, _ := body["tags"].([]any)
		for _, tag := range tags {
			if !strings.HasPrefix(fmt.Sprint(tag), "team:") {
				return nil, "Dashboard tags must be team tags"
			}
		}
	}
	return body, ""
}

func (s *Server) create(kind string, text []byte) (int, any) {
	body, wrong := s.judged(kind, text, needed[kind])
	if wrong != "" {
		return problem(http.StatusBadRequest, "%s", wrong)
	}
	if kind == Monitors {
		for _, m := range s.things[kind] {
			if m["name"] == body["name"] && m["query"] == body["query"] && m["message"] == body["message"] {
				return problem(http.StatusBadRequest, "Duplicate of an existing monitor_id:%v org_id:2", m["id"])
			}
		}
	}
	if s.untagged[kind] {
		delete(body, "tags")
	}
	made := s.made(kind, body)
	s.things[kind] = append(s.things[kind], made)
	return http.StatusOK, made
}

// tick is the moment of a change; each has its own.
func (s *Server) tick() time.Time {
	s.now = s.now.Add(time.Second)
	return s.now
}

func (s *Server) number() json.Number {
	s.next++
	return json.Number(fmt.Sprint(s.next))
}

func defaults(to map[string]any, values map[string]any) {
	for k, v := range values {
		if _, ok := to[k]; !ok {
			to[k] = v
		}
	}
}

// made adds what the server adds at creation.
func (s *Server) made(kind string, body map[string]any) map[string]any {
	now, n := s.tick(), s.number()
	stamp := now.Format("2006-01-02T15:04:05.000000-07:00")
	switch kind {
	case Pipelines:
		body["id"], body["type"], body["is_read_only"] = "pl_"+n.String(), "pipeline", false
	case Dashboards:
		body["id"] = "abc-" + n.String() + "-xyz"
		body["url"] = "/dashboard/" + fmt.Sprint(body["id"])
		body["author_handle"], body["author_name"] = "somebody@example.com", "Some Body"
		body["created_at"], body["modified_at"] = stamp, stamp
	case Monitors:
		body["id"], body["created"], body["modified"], body["org_id"] = n, stamp, stamp, json.Number("2")
		body["created_at"] = json.Number(fmt.Sprint(now.UnixMilli()))
		body["creator"] = map[string]any{"name": "Some Body", "handle": "somebody@example.com", "email": "somebody@example.com"}
		body["overall_state"], body["deleted"] = "No Data", nil
		if body["type"] == "query alert" { // the two are one, and which is shown is the server's choice
			body["type"] = "metric alert"
		}
		body["multi"] = strings.Contains(fmt.Sprint(body["query"]), " by {")
	case Rules:
		body["id"] = "r" + n.String() + "-def-ghi"
		body["createdAt"], body["creationAuthorId"] = json.Number(fmt.Sprint(now.UnixMilli())), json.Number("5")
		body["version"], body["isDefault"], body["isDeleted"] = json.Number("1"), false, false
	}
	return filled(kind, body)
}

// filled adds the defaults that the server fills in, and puts things in its own
// order.
func filled(kind string, body map[string]any) map[string]any {
	switch kind {
	case Pipelines:
		defaults(body, map[string]any{"is_enabled": false, "processors": []any{}, "tags": []any{}})
		each(body["processors"], func(p map[string]any) {
			defaults(p, map[string]any{"is_enabled": false, "name": ""})
		})
	case Dashboards:
		defaults(body, map[string]any{
			"description": nil, "is_read_only": false, "notify_list": []any{}, "restricted_roles": []any{},
			"tags": nil, "template_variable_presets": nil, "template_variables": []any{},
		})
		each(body["template_variables"], func(v map[string]any) {
			if all, _ := v["defaults"].([]any); len(all) > 0 {
				defaults(v, map[string]any{"default": all[0]})
			}
		})
		number := 0
		numberWidgets(body, &number)
	case Monitors:
		options, _ := body["options"].(map[string]any)
		if options == nil {
			options = map[string]any{}
			body["options"] = options
		}
		defaults(options, map[string]any{
			"notify_audit": false, "silenced": map[string]any{}, "escalation_message": "", "new_host_delay": json.Number("300"), "include_tags": true,
		})
		if thresholds, ok := options["thresholds"].(map[string]any); ok {
			for k, v := range thresholds {
				if t := fmt.Sprint(v); !strings.Contains(t, ".") {
					thresholds[k] = json.Number(t + ".0")
				}
			}
		}
		defaults(body, map[string]any{"message": "", "priority": nil, "restricted_roles": nil, "tags": []any{}})
	case Rules:
		defaults(body, map[string]any{"type": "log_detection", "hasExtendedTitle": false, "filters": []any{}, "tags": []any{}})
		each(body["queries"], func(q map[string]any) {
			defaults(q, map[string]any{"dataSource": "logs", "hasOptionalGroupByFields": false, "groupByFields": []any{}, "distinctFields": []any{}, "aggregation": "count"})
		})
		each(body["cases"], func(c map[string]any) { defaults(c, map[string]any{"notifications": []any{}, "name": ""}) })
		if options, ok := body["options"].(map[string]any); ok {
			defaults(options, map[string]any{"decreaseCriticalityBasedOnEnv": false})
		}
	}
	if tags, ok := body["tags"].([]any); ok {
		slices.SortFunc(tags, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	return body
}

func each(list any, do func(map[string]any)) {
	all, _ := list.([]any)
	for _, one := range all {
		if m, ok := one.(map[string]any); ok {
			do(m)
		}
	}
}

// numberWidgets gives each widget an id, those of groups too.
func numberWidgets(in map[string]any, number *int) {
	each(in["widgets"], func(w map[string]any) {
		*number++
		defaults(w, map[string]any{"id": json.Number(fmt.Sprint(4_000_000_000_000_000 + *number))})
		if d, ok := w["definition"].(map[string]any); ok {
			numberWidgets(d, number)
		}
	})
}

// update replaces a pipeline or dashboard, and only the fields that are given of
// a monitor or rule.
func (s *Server) update(kind string, n int, text []byte) (int, any) {
	old := s.things[kind][n]
	fields := needed[kind]
	if kind == Monitors || kind == Rules {
		fields = nil
	}
	body, wrong := s.judged(kind, text, fields)
	switch {
	case wrong != "":
		return problem(http.StatusBadRequest, "%s", wrong)
	case old["is_read_only"] == true && kind == Pipelines:
		return problem(http.StatusBadRequest, "Integration pipelines cannot be edited")
	case old["isDefault"] == true:
		return problem(http.StatusForbidden, "Default rules cannot be edited")
	case kind == Monitors && body["type"] != nil && body["type"] != old["type"]:
		return problem(http.StatusBadRequest, "Monitor type cannot be changed")
	}
	changed := body
	if fields == nil {
		changed = maps.Clone(old)
		maps.Copy(changed, body)
	}
	for _, key := range []string{"id", "url", "author_handle", "author_name", "created_at", "created", "createdAt", "creationAuthorId", "isDefault", "isDeleted", "is_read_only", "creator", "org_id"} {
		if v, ok := old[key]; ok {
			changed[key] = v
		}
	}
	switch stamp := s.tick(); kind {
	case Pipelines:
		changed["type"] = "pipeline"
	case Dashboards:
		changed["modified_at"] = stamp.Format(time.RFC3339)
	case Monitors:
		changed["modified"] = stamp.Format(time.RFC3339)
	case Rules:
		version, _ := old["version"].(json.Number)
		v, _ := version.Int64()
		changed["version"] = json.Number(fmt.Sprint(v + 1))
	}
	s.things[kind][n] = filled(kind, changed)
	return http.StatusOK, s.things[kind][n]
}

func (s *Server) remove(kind string, n int) (int, any) {
	old := s.things[kind][n]
	if old["is_read_only"] == true || old["isDefault"] == true {
		return problem(http.StatusForbidden, "Datadog's own cannot be deleted")
	}
	s.things[kind] = slices.Delete(s.things[kind], n, n+1)
	switch kind {
	case Dashboards:
		return http.StatusOK, map[string]any{"deleted_dashboard_id": old["id"]}
	case Monitors:
		return http.StatusOK, map[string]any{"deleted_monitor_id": old["id"]}
	case Rules:
		return http.StatusNoContent, nil
	}
	return http.StatusOK, map[string]any{}
}
