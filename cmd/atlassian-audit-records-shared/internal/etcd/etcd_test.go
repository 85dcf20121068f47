package etcd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

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
		"its certificate is somebody's own": {shared.Config{URL: "etcd://" + secret, CACert: newAuthority(t).file}, shared.Refused, "check state_tls_ca_cert"},
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

// authority signs certificates for this machine.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key, cert: &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a.file = certificate(t, der)
	return a
}

// certificates are a certificate of the authority's, and its key.
func (a *authority) certificates() cluster.Certificates {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "audit"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return cluster.Certificates{CA: a.file, Cert: certificate(a.t, der), Key: pemFile(a.t, "PRIVATE KEY", secret)}
}

func certificate(t *testing.T, der []byte) string {
	t.Helper()
	return pemFile(t, "CERTIFICATE", der)
}

func pemFile(t *testing.T, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCertificatesOfBothSides: a store that wants a client's certificate.
func TestCertificatesOfBothSides(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	c := cluster.NewTLS(t, a.certificates())
	mine := a.certificates()
	s, err := Open(t.Context(), shared.Config{URL: c.URL("p"), CACert: mine.CA, Cert: mine.Cert, PrivateKey: mine.Key})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	claim := shared.Claim{Key: "lease", Holder: shared.Holder{Node: "1", Host: "web-1"}, TTL: 3 * time.Minute}
	if g, err := s.Hold(t.Context(), claim); err != nil || !g.Held {
		t.Errorf("Hold: %+v, %v", g, err)
	}
	without, err := Open(t.Context(), shared.Config{URL: c.URL("p"), CACert: mine.CA})
	if err != nil {
		t.Fatal(err)
	}
	defer without.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if g, err := without.Hold(ctx, claim); err == nil {
		t.Errorf("without a certificate: %+v", g)
	}
}

// TestAUserOfItsOwn: a user that may do what docs/shared-state.md gives it, and no more.
func TestAUserOfItsOwn(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	admin := c.Client()
	ctx := t.Context()
	for name, do := range map[string]func() error{
		"the administrator": func() error {
			_, err := admin.UserAdd(ctx, "root", "root-password")
			if err == nil {
				_, err = admin.UserGrantRole(ctx, "root", "root")
			}
			return err
		},
		"the role": func() error {
			_, err := admin.RoleAdd(ctx, "audit")
			if err == nil {
				_, err = admin.RoleGrantPermission(ctx, "audit", "/p/", clientv3.GetPrefixRangeEnd("/p/"), clientv3.PermissionType(clientv3.PermReadWrite))
			}
			if err == nil {
				_, err = admin.UserAdd(ctx, "audit", "password")
			}
			if err == nil {
				_, err = admin.UserGrantRole(ctx, "audit", "audit")
			}
			return err
		},
	} {
		if err := do(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if _, err := admin.AuthEnable(ctx); err != nil {
		t.Fatal(err)
	}
	try := func(config shared.Config) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		s, err := Open(ctx, config)
		if err != nil {
			return err
		}
		defer s.Close()
		g, err := s.Hold(ctx, shared.Claim{Key: "lease", Holder: shared.Holder{Node: "1", Host: "web-1"}, TTL: 3 * time.Minute})
		if err != nil {
			return err
		}
		return s.Write(ctx, g, shared.Write{Last: []shared.Value{{Key: "k", Bytes: []byte("v")}}, Drop: []string{"none"}})
	}
	for range 2 {
		if err := try(shared.Config{URL: c.URL("p"), Username: "audit", Password: "password"}); err != nil {
			t.Errorf("with the right password: %v", err)
		}
	}
	for name, tt := range map[string]struct {
		config shared.Config
		says   string
	}{
		"a wrong password": {shared.Config{URL: c.URL("p"), Username: "audit", Password: "wrong"}, "check state_username and state_password"},
		"no user":          {shared.Config{URL: c.URL("p")}, "check state_username and state_password"},
		"another prefix":   {shared.Config{URL: c.URL("q"), Username: "audit", Password: "password"}, "give the user the right to read and write everything below /q/"},
	} {
		if err := try(tt.config); shared.KindOf(err) != shared.Refused || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, of kind %q, want %q", name, err, shared.KindOf(err), tt.says)
		}
	}
}
