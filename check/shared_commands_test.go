package check

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/pkg/shared"
)

func TestStatusSaysWhichMachineCollects(t *testing.T) {
	t.Parallel()
	inPair(t, func(t *testing.T, f *fleet, a, b *box) {
		status := func(b *box) InstanceStatus {
			t.Helper()
			s, err := StatusOf(Instance{Where: "instances[0]", Config: b.sharedConfig(classicAuth)}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		if got := status(a).Shared; got == nil || !got.Asked.IsZero() || got.Store != "etcd (127.0.0.1:2379, /test)" {
			t.Errorf("before the first run: %+v", got)
		}
		began := time.Now()
		a.works()
		pass(time.Minute)
		b.works()
		if got := status(a).Shared; !got.Held || got.Holder != "web-1" || !got.Until.Equal(began.Add(3*time.Minute)) || !got.Since.Equal(began) {
			t.Errorf("the machine that collects: %+v", got)
		}
		s := status(b)
		if got := s.Shared; got.Held || got.Holder != "web-1" || !got.Since.Equal(began) || !got.Asked.Equal(time.Now()) {
			t.Errorf("the machine that stands by: %+v", got)
		}
		if p := s.Products[0]; p.LagSeconds != nil || !strings.HasPrefix(p.Note, "standby: web-1") || len(p.Act) > 0 || p.LastRun.Outcome != OutcomeStandby {
			t.Errorf("its product: %+v", p)
		}
		c := a.config(classicAuth)
		alone, err := StatusOf(Instance{Config: c}, time.Now())
		if err != nil || alone.Shared != nil {
			t.Errorf("a site that is not shared: %+v, %v", alone.Shared, err)
		}
	})
}

func TestDiagnoseAsksTheStore(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		a := f.box("web-1")
		m := a.newMachine(classicAuth, "products: [jira]")
		text, err := os.ReadFile(m.conf)
		if err != nil {
			t.Fatal(err)
		}
		m.write("conf.d/atlassian_audit_records.d/conf.yaml", strings.Replace(string(text), "init_config:\n", "init_config: {state: 'etcd://127.0.0.1:2379/test'}\n", 1), 0o600)
		step := func() Step {
			t.Helper()
			for _, s := range m.diagnose().Steps {
				if s.Name == stepShared {
					return s
				}
			}
			t.Fatal("there is no such step")
			return Step{}
		}
		if s := step(); s.Status != StepOK || s.Text != "etcd (127.0.0.1:2379, /test) answers; nothing is shared yet" {
			t.Errorf("%+v", s)
		}
		a.works()
		if s := step(); s.Status != StepOK || !strings.Contains(s.Text, "web-1 wrote there at ") {
			t.Errorf("%+v", s)
		}
		a.client.Cut(true)
		if s := step(); s.Status != StepFailed || s.Code != CodeShared || s.Next == "" {
			t.Errorf("%+v", s)
		}
		a.options.OpenShared = func(context.Context, shared.Config) (shared.Backend, error) {
			return nil, &shared.Error{Kind: shared.Refused, What: "the password is refused"}
		}
		if s := step(); s.Status != StepFailed || !strings.Contains(s.Text, "the password is refused") {
			t.Errorf("%+v", s)
		}
	})
}

// TestAConsentIsGivenOnceForAllMachines: authorize puts it where they share it.
func TestAConsentIsGivenOnceForAllMachines(t *testing.T) {
	t.Parallel()
	inPair(t, func(t *testing.T, f *fleet, a, b *box) {
		c := a.sharedConfig(oauthAuth)
		if res, _ := a.runOnce(c); !strings.Contains(res.Error, "nobody has consented yet") {
			t.Fatalf("before the consent: %q", res.Error)
		}
		auth := a.begin(nil, c)
		defer auth.Close()
		if auth.Kept() != "etcd (127.0.0.1:2379, /test)" {
			t.Errorf("it is kept in %s", auth.Kept())
		}
		code, err := a.press(auth)
		if err != nil {
			t.Fatal(err)
		}
		done, err := auth.Finish(t.Context(), code)
		if err != nil || done.Failed() != nil {
			t.Fatalf("Finish: %v, %+v", err, done)
		}
		for range 4 {
			pass(2 * time.Hour) // longer than an access token, and than a lease
			a.runWell(c)
			pass(2 * time.Hour)
			b.runWell(b.sharedConfig(oauthAuth))
		}
	})
}
