package check

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// network is a simulated Atlassian behind real sockets of this machine.
type network struct {
	*machine
	tls *httptest.Server
}

// newNetwork serves the simulated site with TLS; the certificate is good for
// that span, and its authority is the operator's.
func newNetwork(t *testing.T, notBefore, notAfter time.Time) *network {
	t.Helper()
	run := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(run, 0o755); err != nil {
		t.Fatal(err)
	}
	s := atlassiantest.New(atlassiantest.Options{Seed: 1})
	s.Fill(20, time.Hour)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the operator's authority"}, NotBefore: notBefore, NotAfter: notAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(s.Handler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail are what is tested
	server.StartTLS()
	t.Cleanup(server.Close)
	w := &world{t: t, server: s, run: run, options: Options{Version: "1.2.3", RequestsPerSecond: -1}}
	n := &network{machine: w.newMachine(classicAuth), tls: server}
	n.site = server.URL
	n.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	return n
}

// trusting are the options of an instance that asks this network for everything.
func (n *network) trusting(more ...string) []string {
	return append([]string{"products: [jira]", "gateway: " + n.site, "auth_server: " + n.site, "timeout: 5", "tls_ca_cert: '" + filepath.Join(n.dir, "ca.pem") + "'"}, more...)
}

// proxy is one that answers every CONNECT with that status; 200 connects.
func proxy(t *testing.T, status int) (host string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
		to, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(r.Context(), "tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		from, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_ = to.Close()
			return
		}
		_, _ = from.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n"))
		go relay(to, from)
		go relay(from, to)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func relay(to, from net.Conn) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	_ = to.Close()
	_ = from.Close()
}

func TestDiagnoseOfRealConnections(t *testing.T) {
	t.Parallel()
	now := time.Now()
	yesterday, tomorrow := now.Add(-24*time.Hour), now.Add(24*time.Hour)
	for _, tt := range []struct {
		name          string
		before, after time.Time
		more          func(t *testing.T, n *network) []string
		want          []string // some of outcomes
		says          string
	}{
		{"all is well", yesterday, tomorrow, func(_ *testing.T, n *network) []string { return n.trusting() },
			[]string{"dns ok", "connection ok", "proxy ok", "tls ok", "clock ok", "site ok", "record jira ok"}, "certificate by the operator's authority, good until " + tomorrow.UTC().Format(time.DateOnly)},
		{"an authority that is not trusted", yesterday, tomorrow, func(_ *testing.T, n *network) []string { return n.trusting()[:4] },
			[]string{"dns ok", "connection ok", "tls failed tls", "clock ok", "site skipped", "record skipped"}, "give its certificate authority in `tls_ca_cert`"},
		{"a certificate that has expired, and a clock that is right", yesterday.Add(-time.Hour), yesterday, func(_ *testing.T, n *network) []string { return n.trusting() },
			[]string{"tls failed tls", "clock ok", "site skipped"}, "expired at " + yesterday.UTC().Format(time.DateOnly)},
		{"a certificate of tomorrow, and a clock that is right", tomorrow, tomorrow.Add(time.Hour), func(_ *testing.T, n *network) []string { return n.trusting() },
			[]string{"tls failed clock", "clock ok", "site skipped"}, "if it is right, what answers is not 127.0.0.1"},
		{"certificates are not verified", yesterday, tomorrow, func(_ *testing.T, n *network) []string { return append(n.trusting()[:4], "tls_verify: false") },
			[]string{"tls warning tls", "record jira ok"}, "certificates are not verified (tls_verify: false)"},
		{"a proxy that connects", yesterday, tomorrow, func(t *testing.T, n *network) []string {
			return n.trusting("proxy: {https: 'http://somebody:proxy-password@" + proxy(t, 200) + "'}")
		}, []string{"dns ok", "proxy ok", "tls ok", "record jira ok"}, "(set by the instance)"},
		{"a proxy that wants a password", yesterday, tomorrow, func(t *testing.T, n *network) []string {
			return n.trusting("proxy: {https: 'http://somebody:proxy-password@" + proxy(t, 407) + "'}")
		}, []string{"proxy failed proxy", "tls skipped", "clock skipped", "site skipped"}, "wants a user name and password"},
		{"a proxy that refuses the site", yesterday, tomorrow, func(t *testing.T, n *network) []string {
			return n.trusting("proxy: {https: 'http://" + proxy(t, 403) + "'}")
		}, []string{"proxy failed proxy"}, "refused the connection (status 403)"},
		{"a proxy that is not there", yesterday, tomorrow, func(_ *testing.T, n *network) []string {
			return n.trusting("proxy: {https: 'http://127.0.0.1:1'}")
		}, []string{"proxy failed proxy", "site skipped"}, "the proxy cannot be reached"},
		{"a proxy that is not asked for this host", yesterday, tomorrow, func(_ *testing.T, n *network) []string {
			return n.trusting("proxy: {https: 'http://127.0.0.1:1', no_proxy: [127.0.0.1]}")
		}, []string{"proxy ok", "record jira ok"}, "none for 127.0.0.1"},
		{"a port on which nobody listens", yesterday, tomorrow, func(_ *testing.T, n *network) []string {
			n.site = "https://127.0.0.1:1"
			return n.trusting()
		}, []string{"dns ok", "connection failed network", "tls skipped", "site skipped"}, "127.0.0.1:1 cannot be reached"},
		{"a port on which nobody listens, by its name", yesterday, tomorrow, func(_ *testing.T, n *network) []string {
			n.site = "https://127.0.0.1:1"
			return n.trusting()
		}, []string{"site skipped", "record skipped"}, "skipped: 127.0.0.1:1 was not reached"},
		{"a gateway that a token without scopes does not need", yesterday, tomorrow, func(_ *testing.T, n *network) []string {
			return append(slices.DeleteFunc(n.trusting(), func(s string) bool { return strings.HasPrefix(s, "gateway") }), "gateway: https://127.0.0.1:1")
		}, []string{"connection warning network", "site ok", "record jira ok"}, "this is needed for a token with scopes only"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, tt.before, tt.after)
			n.configure(classicAuth, tt.more(t, n)...)
			d := n.diagnose()
			got := outcomes(d)
			for _, want := range tt.want {
				if !slices.Contains(got, want) {
					t.Errorf("%q is missing in %q\n%+v", want, got, d.Steps)
				}
			}
			text := everythingOf(t, d)
			if !strings.Contains(text, strings.ReplaceAll(tt.says, `"`, `\"`)) {
				t.Errorf("%q is missing in %s", tt.says, text)
			}
			if strings.Contains(text, "proxy-password") {
				t.Errorf("it shows the proxy's password: %s", text)
			}
			wantNoSecret(t, d)
		})
	}
}
