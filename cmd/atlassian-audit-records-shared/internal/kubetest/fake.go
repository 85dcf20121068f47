// Package kubetest is the API of a Kubernetes cluster for tests: a small one in the
// process, which knows what of it the store uses, and the real one as a process.
//
// The small one keeps to the API's documentation: each change gives an object a new
// resourceVersion, and an update that names another one is refused; an immutable
// object cannot be changed; names and sizes are checked; every answer has a Date. It
// knows neither watches, lists nor patches. That it is right is known by the suite,
// which passes on both.
package kubetest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// Fake is the small one. Namespace is the only namespace there is.
type Fake struct {
	server *httptest.Server

	mu      sync.Mutex
	objects map[string]object // by resource/name
	version int
	ahead   time.Duration
	asked   map[string]bool
	answers int
	refuse  func(verb, resource, name string) int
}

// Namespace is where all of it happens.
const Namespace = "atlassian-audit-records"

// object is an object as JSON has it.
type object = map[string]any

// New starts an empty one.
func New(t testing.TB) *Fake {
	f := NewUnserved()
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	return f
}

// NewUnserved is one that nobody listens for: the caller brings the questions.
func NewUnserved() *Fake { return &Fake{objects: map[string]object{}, asked: map[string]bool{}} }

// Config is the way to it.
func (f *Fake) Config() *rest.Config { return &rest.Config{Host: f.server.URL} }

// Pass lets time pass by the server's clock.
func (f *Fake) Pass(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ahead += d
}

// Refuse has f asked for the status of each answer: 0 lets it be what it is.
func (f *Fake) Refuse(with func(verb, resource, name string) int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = with
}

// Asked are the verbs that were asked for, each as "verb resource", sorted.
func (f *Fake) Asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.asked))
}

// Answers are how many there were.
func (f *Fake) Answers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.answers
}

// Names are the names of the objects of a resource, sorted.
func (f *Fake) Names(resource string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for key := range f.objects {
		if name, ok := strings.CutPrefix(key, resource+"/"); ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Meta is an object's metadata.
func (f *Fake) Meta(resource, name string) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(meta(f.objects[resource+"/"+name]))
}

// Remove removes an object as a person would.
func (f *Fake) Remove(resource, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.objects, resource+"/"+name)
}

// Change changes an object as a person would.
func (f *Fake) Change(t testing.TB, resource, name string, change func(o map[string]any)) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.objects[resource+"/"+name]
	if o == nil {
		t.Fatalf("there is no %s %s", resource, name)
	}
	change(o)
	f.stamp(o)
}

// verbs are what RBAC calls the methods, where they name an object.
var verbs = map[string]string{http.MethodGet: "get", http.MethodPost: "create", http.MethodPut: "update", http.MethodDelete: "delete"}

// kinds are the resources by their paths.
var kinds = map[string]struct{ resource, kind, version string }{
	"/api/v1/namespaces/" + Namespace + "/configmaps":                  {"configmaps", "ConfigMap", "v1"},
	"/api/v1/namespaces/" + Namespace + "/secrets":                     {"secrets", "Secret", "v1"},
	"/apis/coordination.k8s.io/v1/namespaces/" + Namespace + "/leases": {"leases", "Lease", "coordination.k8s.io/v1"},
}

// ServeHTTP answers one question.
func (f *Fake) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Date", time.Now().Add(f.ahead).UTC().Format(http.TimeFormat))
	f.answers++
	code, answer := f.answer(q.Method, q.URL.Path, body)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer)
}

func (f *Fake) answer(method, path string, body []byte) (int, object) {
	verb := verbs[method]
	of, ok := kinds[path]
	name := ""
	if !ok {
		i := strings.LastIndexByte(path, '/')
		of, ok = kinds[path[:i]]
		name = path[i+1:]
	}
	if !ok || verb == "" || (verb == "create") != (name == "") {
		return failure(http.StatusNotFound, "NotFound", "the server could not find the requested resource "+path)
	}
	f.asked[verb+" "+of.resource] = true
	o := object{}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &o); err != nil {
			return failure(http.StatusBadRequest, "BadRequest", err.Error())
		}
	}
	if verb == "create" {
		name, _ = meta(o)["name"].(string)
	}
	if f.refuse != nil {
		if code := f.refuse(verb, of.resource, name); code != 0 {
			return failure(code, reasons[code], "refused as the test wants it")
		}
	}
	key := of.resource + "/" + name
	stands := f.objects[key]
	switch {
	case verb != "create" && stands == nil:
		return failure(http.StatusNotFound, "NotFound", of.resource+" \""+name+"\" not found")
	case verb == "create" && stands != nil:
		return failure(http.StatusConflict, "AlreadyExists", of.resource+" \""+name+"\" already exists")
	case verb == "get":
		return http.StatusOK, stands
	case verb == "delete":
		delete(f.objects, key)
		return http.StatusOK, object{"kind": "Status", "apiVersion": "v1", "status": "Success"}
	}
	if bad := invalid(name, of.resource, o, stands); bad != "" {
		return failure(http.StatusUnprocessableEntity, "Invalid", bad)
	}
	o["kind"], o["apiVersion"] = of.kind, of.version
	m := meta(o)
	m["namespace"] = Namespace
	code := http.StatusCreated
	if verb == "create" {
		if v, _ := m["resourceVersion"].(string); v != "" {
			return failure(http.StatusInternalServerError, "InternalError", "resourceVersion should not be set on objects to be created")
		}
		m["uid"] = fmt.Sprintf("00000000-0000-4000-8000-%012d", f.version+1)
		m["creationTimestamp"] = time.Now().Add(f.ahead).UTC().Format(time.RFC3339)
	} else {
		code = http.StatusOK
		if v, _ := m["resourceVersion"].(string); v != "" && v != meta(stands)["resourceVersion"] {
			return failure(http.StatusConflict, "Conflict", "the object has been modified; please apply your changes to the latest version and try again")
		}
		if uid, _ := m["uid"].(string); uid != "" && uid != meta(stands)["uid"] {
			return failure(http.StatusConflict, "Conflict", "Precondition failed: UID in precondition: "+uid)
		}
		m["uid"], m["creationTimestamp"] = meta(stands)["uid"], meta(stands)["creationTimestamp"]
	}
	f.stamp(o)
	f.objects[key] = o
	return code, o
}

func (f *Fake) stamp(o object) {
	f.version++
	meta(o)["resourceVersion"] = strconv.Itoa(f.version)
}

func meta(o object) object {
	m, ok := o["metadata"].(object)
	if !ok {
		m = object{}
		o["metadata"] = m
	}
	return m
}

var subdomain = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// invalid is what is wrong with an object; empty for nothing.
func invalid(name, resource string, o, stands object) string {
	if len(name) > 253 || !subdomain.MatchString(name) {
		return "metadata.name: Invalid value: " + name
	}
	if stands != nil && stands["immutable"] == true {
		return "data: Forbidden: field is immutable when `immutable` is set"
	}
	size := 0
	for _, field := range []string{"data", "binaryData"} {
		of, _ := o[field].(object)
		for _, v := range of {
			text, _ := v.(string)
			if field == "binaryData" || resource == "secrets" {
				size += len(strings.TrimRight(text, "=")) * 3 / 4
			} else {
				size += len(text)
			}
		}
	}
	if size > 1<<20 {
		return "data: Too long: may not be more than 1048576 bytes"
	}
	if resource == "leases" {
		spec, _ := o["spec"].(object)
		if d, ok := spec["leaseDurationSeconds"].(float64); ok && d <= 0 {
			return "spec.leaseDurationSeconds: must be greater than 0"
		}
	}
	return ""
}

var reasons = map[int]string{
	http.StatusUnauthorized: "Unauthorized", http.StatusForbidden: "Forbidden", http.StatusNotFound: "NotFound", http.StatusConflict: "Conflict",
	http.StatusTooManyRequests: "TooManyRequests", http.StatusInternalServerError: "InternalError", http.StatusServiceUnavailable: "ServiceUnavailable",
}

func failure(code int, reason, message string) (int, object) {
	return code, object{"kind": "Status", "apiVersion": "v1", "metadata": object{}, "status": "Failure", "message": message, "reason": reason, "code": code}
}

// Nowhere is the way to a server that is not there.
func Nowhere() *rest.Config { return &rest.Config{Host: "http://127.0.0.1:1"} }
