package datadogtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The keys that the organisation takes.
const (
	APIKey = "0123456789abcdef0123456789abcdef"
	AppKey = "89abcdef0123456789abcdef0123456789abcdef"
)

// The kinds, by the paths of their lists.
const (
	Pipelines  = "/api/v1/logs/config/pipelines"
	Dashboards = "/api/v1/dashboard"
	Monitors   = "/api/v1/monitor"
	Rules      = "/api/v2/security_monitoring/rules"
)

// A Request is one request as it came.
type Request struct {
	Method, Path string
	Body         string
	// Status is what it was answered with.
	Status int
}

// A Fault is asked before each request. Status 0 lets it through; after is done
// once it was carried out, in place of its answer.
type Fault struct {
	Status int
	Body   string
	Header map[string]string
	// After has the request carried out first: its answer is lost.
	After bool
}

// A Server is an organisation; it is an http.Handler.
type Server struct {
	mu     sync.Mutex
	things map[string][]map[string]any
	log    []Request
	fault  func(method, path string, n int) Fault
	// untagged are kinds whose tags are not kept.
	untagged map[string]bool
	next     int64
	now      time.Time
}

// New is an organisation that has what every one has: a pipeline of an
// integration and a rule of Datadog's own, which may not be changed.
func New() *Server {
	s := &Server{things: map[string][]map[string]any{}, now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), next: 7_000_000_000}
	s.things[Pipelines] = []map[string]any{{
		"id": "integration-jira", "type": "pipeline", "name": "Jira Audit Records", "is_enabled": true, "is_read_only": true,
		"filter": map[string]any{"query": "source:jira-audit-records"}, "processors": []any{}, "tags": []any{},
	}}
	s.things[Rules] = []map[string]any{{
		"id": "def-000-abc", "name": "Atlassian app installed", "type": "log_detection", "isDefault": true, "isEnabled": true, "isDeleted": false,
		"createdAt": json.Number("1600000000000"), "version": json.Number("3"), "message": "Datadog's own.", "hasExtendedTitle": true,
		"tags": []any{}, "queries": []any{}, "cases": []any{}, "filters": []any{}, "options": map[string]any{"detectionMethod": "threshold"},
	}}
	return s
}

// SetFault asks f before each request; n counts all requests from 1.
func (s *Server) SetFault(f func(method, path string, n int) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// IgnoreTags makes the organisation take the tags of a kind and not keep them.
func (s *Server) IgnoreTags(kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.untagged = map[string]bool{kind: true}
}

// Requests are all requests so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// All is everything of a kind, as the API shows it.
func (s *Server) All(kind string) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []map[string]any{}
	for _, t := range s.things[kind] {
		out = append(out, clone(t))
	}
	return out
}

// Edit is a person who changes something in Datadog.
func (s *Server) Edit(kind, id string, change func(map[string]any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.find(kind, id); n >= 0 {
		change(s.things[kind][n])
	}
}

// Add is a person who makes something in Datadog; it returns the id.
func (s *Server) Add(kind string, body map[string]any) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := s.made(kind, clone(body))
	s.things[kind] = append(s.things[kind], made)
	return fmt.Sprint(made["id"])
}

func (s *Server) find(kind, id string) int {
	return slices.IndexFunc(s.things[kind], func(t map[string]any) bool { return fmt.Sprint(t["id"]) == id })
}

// maxBody bounds a request, in bytes.
const maxBody = 8 << 20

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var f Fault
	if s.fault != nil {
		f = s.fault(r.Method, r.URL.Path, len(s.log)+1)
	}
	status, answer := f.Status, any(nil)
	if f.Status == 0 || f.After {
		if status, answer = s.answer(r, text); f.After {
			status, answer = f.Status, nil
		}
	}
	s.log = append(s.log, Request{Method: r.Method, Path: r.URL.Path, Body: string(text), Status: status})
	w.Header().Set("Content-Type", "application/json")
	for k, v := range f.Header {
		w.Header().Set(k, v)
	}
	w.WriteHeader(status)
	switch {
	case f.Status != 0:
		_, _ = io.WriteString(w, f.Body) // a client that is gone learns nothing
	case answer != nil:
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func problem(status int, format string, args ...any) (int, any) {
	return status, map[string]any{"errors": []string{fmt.Sprintf(format, args...)}}
}

// answer carries out one request.
func (s *Server) answer(r *http.Request, text []byte) (int, any) {
	if r.Header.Get("DD-API-KEY") != APIKey || r.Header.Get("DD-APPLICATION-KEY") != AppKey {
		return problem(http.StatusForbidden, "Forbidden")
	}
	kind, id := "", ""
	for _, k := range []string{Pipelines, Dashboards, Monitors, Rules} {
		if rest, ok := strings.CutPrefix(r.URL.Path, k); ok && (rest == "" || rest[0] == '/') {
			kind, id = k, strings.TrimPrefix(rest, "/")
		}
	}
	n := s.find(kind, id)
	switch {
	case kind == "":
		return problem(http.StatusNotFound, "Not found")
	case id == "" && r.Method == http.MethodGet:
		return s.list(kind, r)
	case id == "" && r.Method == http.MethodPost:
		return s.create(kind, text)
	case id == "":
		return problem(http.StatusMethodNotAllowed, "Method not allowed")
	case n < 0:
		return problem(http.StatusNotFound, "%s with id %s not found", kind, id)
	case r.Method == http.MethodGet:
		return http.StatusOK, s.things[kind][n]
	case r.Method == http.MethodPut:
		return s.update(kind, n, text)
	case r.Method == http.MethodDelete:
		return s.remove(kind, n)
	}
	return problem(http.StatusMethodNotAllowed, "Method not allowed")
}

// list is a page, by each kind's own parameters and limits.
func (s *Server) list(kind string, r *http.Request) (int, any) {
	all := s.things[kind]
	number := func(name string, otherwise int) int {
		if v, err := strconv.Atoi(r.URL.Query().Get(name)); err == nil {
			return v
		}
		return otherwise
	}
	page := func(from, size int) []map[string]any {
		from = min(from, len(all))
		return append([]map[string]any{}, all[from:min(from+size, len(all))]...)
	}
	switch kind {
	case Dashboards:
		out := []map[string]any{}
		for _, d := range page(number("start", 0), min(number("count", 100), 100)) {
			short := map[string]any{}
			for _, key := range []string{"id", "title", "description", "layout_type", "url", "author_handle", "created_at", "modified_at", "is_read_only"} {
				short[key] = d[key]
			}
			out = append(out, short)
		}
		return http.StatusOK, map[string]any{"dashboards": out}
	case Monitors:
		if !r.URL.Query().Has("page") {
			return http.StatusOK, page(0, len(all))
		}
		size := min(number("page_size", 100), 1000)
		return http.StatusOK, page(number("page", 0)*size, size)
	case Rules:
		size := number("page[size]", 10)
		if size > 100 {
			return problem(http.StatusBadRequest, "page[size] must be at most 100")
		}
		return http.StatusOK, map[string]any{
			"data": page(number("page[number]", 0)*size, size),
			"meta": map[string]any{"page": map[string]any{"total_count": len(all), "total_filtered_count": len(all)}},
		}
	}
	return http.StatusOK, page(0, len(all))
}
