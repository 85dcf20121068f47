package shared_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/shared"
	"atlassian_audit_records/pkg/shared/sharedtest"
)

// serveAs says, in the environment of a process of this test, how it stands for the
// program that knows the stores.
const serveAs = "SHARED_TEST_SERVE"

func TestMain(m *testing.M) {
	switch os.Getenv(serveAs) {
	case "":
		os.Exit(m.Run())
	case "mute":
		_, _ = os.Stdin.Read(make([]byte, 1))
		select {}
	case "gone":
		fmt.Fprintln(os.Stderr, "it does\nnot work here")
		os.Exit(3)
	case "garbage":
		fmt.Println("hello")
	}
	s := sharedtest.NewStore(time.Now)
	err := shared.Serve(context.Background(), os.Stdin, os.Stdout, func(_ context.Context, c shared.Config) (shared.Backend, error) {
		if c.Password != "right" {
			return nil, &shared.Error{Kind: shared.Refused, What: "the password is refused", Next: "check it", Err: errors.New("because")}
		}
		return s.Client(), nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// start starts a process of this test in that part. The environment is the test
// process's own, so such tests are not parallel.
func start(t *testing.T, as string, limit time.Duration, c shared.Config) (shared.Backend, error) {
	t.Helper()
	t.Setenv(serveAs, as)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	c.URL = "etcd://127.0.0.1:2379/p"
	b, err := shared.Start(ctx, self, c)
	if b != nil {
		t.Cleanup(func() {
			if err := b.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	return b, err
}

func TestAStoreInAProcessOfItsOwn(t *testing.T) {
	b, err := start(t, "store", time.Minute, shared.Config{Password: "right"})
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	claim := shared.Claim{Key: "lease", Holder: web1, TTL: time.Minute}
	g, err := b.Hold(t.Context(), claim)
	if err != nil || !g.Held || g.TTL != time.Minute || g.Holder.Host != "web-1" {
		t.Fatalf("Hold: %+v, %v", g, err)
	}
	want := map[string][]byte{"a": {0, 1, 255}, "b": {}}
	if err := b.Write(t.Context(), g, shared.Write{First: []shared.Value{{Key: "a", Bytes: want["a"]}}, Last: []shared.Value{{Key: "b", Bytes: want["b"]}}}); err != nil {
		t.Fatalf("Write: %v", err)
	}
	got, err := b.Read(t.Context(), []string{"a", "b", "c"})
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Read (-want +got): %v\n%s", err, diff)
	}
	if got, err := b.Read(t.Context(), nil); len(got) != 0 || err != nil {
		t.Errorf("Read of nothing: %v, %v", got, err)
	}
	if b.Limits().Piece != 128<<10 {
		t.Errorf("the limits are %+v", b.Limits())
	}
	if err := b.Release(t.Context(), claim, g); err != nil {
		t.Errorf("Release: %v", err)
	}
	err = b.Write(t.Context(), g, shared.Write{})
	if shared.KindOf(err) != shared.Lost {
		t.Errorf("an error lost its kind on the way: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, err := b.Read(t.Context(), nil); shared.KindOf(err) != shared.Unavailable {
		t.Errorf("after Close: %v", err)
	}
}

func TestAProcessThatFails(t *testing.T) {
	for name, tt := range map[string]struct {
		as    string
		limit time.Duration
		kind  shared.Kind
		says  string
	}{
		"it refuses, and why comes through": {"store", time.Minute, shared.Refused, "the password is refused: because; check it"},
		"it ends at once":                   {"gone", time.Minute, shared.Unavailable, "it does not work here"},
		"it answers with something else":    {"garbage", time.Minute, shared.Unavailable, "its answer cannot be read"},
		"it does not answer":                {"mute", 50 * time.Millisecond, shared.Unavailable, "it did not answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := start(t, tt.as, tt.limit, shared.Config{})
			if shared.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want an error of kind %q that says %q", err, tt.kind, tt.says)
			}
		})
	}
	if _, err := shared.Start(t.Context(), "/there/is/none", shared.Config{}); shared.KindOf(err) != shared.Refused {
		t.Errorf("a program that is not there: %v", err)
	}
}

func TestQuestionsThatNobodyShouldAsk(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	in := "{}\nnonsense\n" + `{"do":"read","ms":1000}` + "\n" + `{"do":"open","ms":1000,"config":{"url":"x"}}` + "\n" + `{"do":"dance","ms":1000}` + "\n"
	err := shared.Serve(t.Context(), strings.NewReader(in), &out, func(context.Context, shared.Config) (shared.Backend, error) {
		return sharedtest.NewStore(time.Now).Client(), nil
	})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if err != nil || len(lines) != 5 {
		t.Fatalf("%v, answers:\n%s", err, out.String())
	}
	for i, refused := range []bool{true, true, true, false, true} {
		if got := strings.Contains(lines[i], `"kind":"refused"`); got != refused {
			t.Errorf("answer %d is %s", i, lines[i])
		}
	}
}

func TestAnURLOfEtcd(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]shared.Etcd{
		"etcd://etcd-1.example.com:2379,etcd-2.example.com/audit/records": {Endpoints: []string{"etcd-1.example.com:2379", "etcd-2.example.com:2379"}, Prefix: "/audit/records/", TLS: true},
		"etcd://127.0.0.1:12379":                {Endpoints: []string{"127.0.0.1:12379"}, Prefix: "/atlassian_audit_records/"},
		"etcd://[::1]/p/":                       {Endpoints: []string{"[::1]:2379"}, Prefix: "/p/"},
		"etcd://LOCALHOST:1,etcd.example.com/p": {Endpoints: []string{"localhost:1", "etcd.example.com:2379"}, Prefix: "/p/", TLS: true},
	} {
		got, err := shared.Config{URL: url}.Etcd()
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", url, err, diff)
		}
	}
	if got, err := (shared.Config{URL: "etcd://127.0.0.1/p", CACert: "/ca.pem"}).Etcd(); !got.TLS || err != nil {
		t.Errorf("a certificate was given, and the connection is %+v, %v", got, err)
	}
	for url, says := range map[string]string{
		"":                           "must begin with etcd:// or kubernetes://",
		"consul://host/p":            "must begin with etcd://",
		"etcd://":                    "must name its hosts",
		"etcd:///p":                  "must name its hosts",
		"etcd://host:0/p":            "must name its hosts",
		"etcd://host:port/p":         "must name its hosts",
		"etcd://a,,b/p":              "must name its hosts",
		"etcd://user:secret@host/p":  "state_username",
		"etcd://host/p?ca=x":         "query",
		"etcd://host/a//b":           "prefix of letters",
		"etcd://host/with a blank/b": "prefix of letters",
		"etcd://host/../b":           "prefix of letters",
	} {
		if err := (shared.Config{URL: url}).Check(); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want something of %q", url, err, says)
		}
	}
	if got := (shared.Config{URL: "kubernetes://audit/fleet"}).Name(); got != "Kubernetes (namespace audit, fleet)" {
		t.Errorf("its name is %s", got)
	}
	if got := (shared.Config{URL: "etcd://a:1,b/p"}).Name(); got != "etcd (a:1, b:2379, /p)" {
		t.Errorf("its name is %s", got)
	}
	if got := (shared.Config{URL: "etcd://user:secret@host/p"}).Name(); strings.Contains(got, "secret") {
		t.Errorf("its name is %s", got)
	}
}

func TestAnURLOfKubernetes(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]shared.Kubernetes{
		"kubernetes://audit":        {Namespace: "audit", Name: "atlassian-audit-records"},
		"kubernetes://audit/":       {Namespace: "audit", Name: "atlassian-audit-records"},
		"kubernetes://audit/fleet":  {Namespace: "audit", Name: "fleet"},
		"kubernetes://a-1/fleet-2/": {Namespace: "a-1", Name: "fleet-2"},
	} {
		c := shared.Config{URL: url}
		got, err := c.Kubernetes()
		if diff := cmp.Diff(want, got); diff != "" || err != nil || c.Check() != nil {
			t.Errorf("%s: %v, %v (-want +got)\n%s", url, err, c.Check(), diff)
		}
	}
	for _, url := range []string{"kubernetes://", "kubernetes:///fleet", "kubernetes://Audit", "kubernetes://a.b/fleet", "kubernetes://audit/a/b", "kubernetes://-a/fleet",
		"kubernetes://audit/fleet?x=1", "kubernetes://user:secret@host/fleet", "kubernetes://audit/" + strings.Repeat("a", 64)} {
		if err := (shared.Config{URL: url}).Check(); err == nil || !strings.Contains(err.Error(), "must name a namespace") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
