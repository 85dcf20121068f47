package etcd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/cmd/atlassian-audit-records-shared/internal/cluster"
	"atlassian_audit_records/pkg/shared"
	"atlassian_audit_records/pkg/shared/sharedtest"
)

func open(t *testing.T, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), shared.Config{URL: url})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

func TestEtcdConforms(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	n := 0
	sharedtest.Conform(t, func(*testing.T) sharedtest.World {
		n++
		prefix := fmt.Sprintf("test-%d", n)
		return sharedtest.World{
			Open:   func(t *testing.T) shared.Backend { return open(t, c.URL(prefix)) },
			Expire: func(_ *testing.T, key string) { c.Expire("/" + prefix + "/" + key) },
		}
	})
}

// TestALeaseEndsByItself: nobody has to end it, and it lasts as long as was asked
// for.
func TestALeaseEndsByItself(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	a, b := open(t, c.URL("p")), open(t, c.URL("p"))
	defer a.Close()
	defer b.Close()
	began := time.Now()
	g, err := a.Hold(t.Context(), shared.Claim{Key: "lease", Holder: shared.Holder{Node: "1", Host: "web-1"}, TTL: 2 * time.Second})
	if err != nil || !g.Held || g.TTL < 2*time.Second {
		t.Fatalf("Hold: %+v, %v", g, err)
	}
	for {
		other, err := b.Hold(t.Context(), shared.Claim{Key: "lease", Holder: shared.Holder{Node: "2", Host: "web-2"}, TTL: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if other.Held {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatal("the lease did not end in a minute")
		}
	}
	if lasted := time.Since(began); lasted < g.TTL {
		t.Errorf("the lease lasted for %s, and %s was promised", lasted, g.TTL)
	}
}

// TestALongerIntervalMakesALongerLease, and does not let go of it meanwhile.
func TestALongerIntervalMakesALongerLease(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.URL("p"))
	defer s.Close()
	claim := shared.Claim{Key: "lease", Holder: shared.Holder{Node: "1", Host: "web-1"}, TTL: 3 * time.Minute}
	first, err := s.Hold(t.Context(), claim)
	if err != nil {
		t.Fatal(err)
	}
	claim.TTL, claim.Memory = 10*time.Minute, first.Memory
	second, err := s.Hold(t.Context(), claim)
	if err != nil || !second.Held || second.TTL < 10*time.Minute || second.Fence != first.Fence {
		t.Errorf("after %+v came %+v, %v", first, second, err)
	}
	if err := s.Write(t.Context(), first, shared.Write{Last: []shared.Value{{Key: "k", Bytes: []byte("v")}}}); err != nil {
		t.Errorf("Write: %v", err)
	}
}

// TestWhyNothingIsAnswered: what is wrong is said, and whether a person is needed.
func TestWhyNothingIsAnswered(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	plain := c.Endpoints()[0]
	ca, secret := encrypted(t)
	for name, tt := range map[string]struct {
		config shared.Config
		kind   shared.Kind
		says   string
	}{
		"nobody listens there":              {shared.Config{URL: "etcd://127.0.0.1:1"}, shared.Unavailable, "connection refused"},
		"it speaks no TLS":                  {shared.Config{URL: "etcd://" + plain, CACert: ca}, shared.Refused, "it does not speak TLS; check whether etcd wants TLS"},
		"it speaks TLS":                     {shared.Config{URL: "etcd://" + secret}, shared.Refused, "it speaks TLS, and is asked without"},
		"its certificate is somebody's own": {shared.Config{URL: "etcd://" + secret, CACert: otherCA(t)}, shared.Refused, "check state_tls_ca_cert"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Open(t.Context(), tt.config)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			_, err = s.Read(ctx, []string{"k"})
			if shared.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, of kind %q; want something of %q, of kind %q", err, shared.KindOf(err), tt.says, tt.kind)
			}
		})
	}
}

// encrypted is the address of a server that speaks TLS, and the file of its certificate.
func encrypted(t *testing.T) (ca, address string) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return certificate(t, s.Certificate().Raw), s.Listener.Addr().String()
}

// otherCA is the file of a certificate that has nothing to do with any server here.
func otherCA(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return certificate(t, der)
}

func certificate(t *testing.T, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
