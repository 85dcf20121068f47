package atlassian

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/pkg/audit"
)

func TestProxyIsChosen(t *testing.T) {
	t.Parallel()
	const proxy = "http://proxy:3128"
	for name, tc := range map[string]struct {
		o    TransportOptions
		url  string
		want string
	}{
		"no proxy at all":                    {TransportOptions{}, "https://x.atlassian.net", ""},
		"https through its proxy":            {TransportOptions{ProxyHTTPS: proxy}, "https://x.atlassian.net", proxy},
		"http has a proxy of its own":        {TransportOptions{ProxyHTTPS: proxy}, "http://127.0.0.1", ""},
		"this machine gets no exception":     {TransportOptions{ProxyHTTP: proxy}, "http://127.0.0.1:80", proxy},
		"a proxy without scheme":             {TransportOptions{ProxyHTTPS: "proxy:3128"}, "https://x.atlassian.net", proxy},
		"skip_proxy":                         {TransportOptions{ProxyHTTPS: proxy, SkipProxy: true}, "https://x.atlassian.net", ""},
		"everything excepted":                {TransportOptions{ProxyHTTPS: proxy, NoProxy: []string{"*"}}, "https://x.atlassian.net", ""},
		"the host excepted":                  {TransportOptions{ProxyHTTPS: proxy, NoProxy: []string{"a.b", " X.Atlassian.net "}}, "https://x.atlassian.net", ""},
		"its domain excepted":                {TransportOptions{ProxyHTTPS: proxy, NoProxy: []string{"atlassian.net"}}, "https://x.atlassian.net", ""},
		"what lies below its domain":         {TransportOptions{ProxyHTTPS: proxy, NoProxy: []string{".atlassian.net"}}, "https://x.atlassian.net", ""},
		"what lies below, with a star":       {TransportOptions{ProxyHTTPS: proxy, NoProxy: []string{"*.atlassian.net"}}, "https://x.atlassian.net", ""},
		"only what lies below":               {TransportOptions{ProxyHTTPS: proxy, NoProxy: []string{".atlassian.net"}}, "https://atlassian.net", proxy},
		"the end of a name is no domain":     {TransportOptions{ProxyHTTPS: proxy, NoProxy: []string{"lassian.net"}}, "https://atlassian.net", proxy},
		"host and port, as the Agent has it": {TransportOptions{ProxyHTTPS: proxy, NoProxy: []string{"x.atlassian.net:8443"}}, "https://x.atlassian.net:8443", ""},
		"another port":                       {TransportOptions{ProxyHTTPS: proxy, NoProxy: []string{"x.atlassian.net:8443"}}, "https://x.atlassian.net", proxy},
		"an address":                         {TransportOptions{ProxyHTTPS: proxy, NoProxy: []string{"10.0.0.1"}}, "https://10.0.0.1:8443", ""},
		"a network":                          {TransportOptions{ProxyHTTPS: proxy, NoProxy: []string{"10.0.0.0/8"}}, "https://10.1.2.3", ""},
		"outside of the network":             {TransportOptions{ProxyHTTPS: proxy, NoProxy: []string{"10.0.0.0/8"}}, "https://11.1.2.3", proxy},
		"a network in the version 6":         {TransportOptions{ProxyHTTPS: proxy, NoProxy: []string{"fd00::/8"}}, "https://[fd00::1]", ""},
		"an empty entry is none":             {TransportOptions{ProxyHTTPS: proxy, NoProxy: []string{""}}, "https://x.atlassian.net", proxy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr, err := NewTransport(tc.o)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if tr.Proxy != nil {
				u, err := tr.Proxy(&http.Request{URL: mustURL(t, tc.url)})
				if err != nil {
					t.Fatal(err)
				}
				if u != nil {
					got = u.String()
				}
			}
			if got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// pair writes a certificate for 127.0.0.1 and its key.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
	return cert, key
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTransportOptionsAreRefused(t *testing.T) {
	t.Parallel()
	cert, key := pair(t)
	junk := filepath.Join(t.TempDir(), "junk.pem")
	write(t, junk, []byte("no certificate"))
	for name, tc := range map[string]struct {
		o   TransportOptions
		err string
	}{
		"a proxy that is no URL":          {TransportOptions{ProxyHTTPS: "http://me:se cret@[::1"}, "proxy.https is not a URL"},
		"a proxy without host":            {TransportOptions{ProxyHTTP: "http://"}, "proxy.http has no host"},
		"a proxy of an unknown kind":      {TransportOptions{ProxyHTTP: "ftp://me:secret@x"}, `proxy.http has the scheme "ftp"`},
		"an authority that is not there":  {TransportOptions{CACert: junk + "x"}, "read tls_ca_cert: "},
		"an authority that is none":       {TransportOptions{CACert: junk}, "holds no certificate in PEM form"},
		"a key without a certificate":     {TransportOptions{PrivateKey: key}, "give both or neither"},
		"a certificate without its key":   {TransportOptions{Cert: cert}, "read tls_cert and tls_private_key: "},
		"a certificate with another key":  {TransportOptions{Cert: cert, PrivateKey: junk}, "read tls_cert and tls_private_key: "},
		"a certificate that is not there": {TransportOptions{Cert: cert + "x", PrivateKey: key}, "read tls_cert and tls_private_key: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := NewTransport(tc.o)
			if err == nil || !strings.Contains(err.Error(), tc.err) || strings.Contains(err.Error(), "cret") {
				t.Errorf("error %v, want %q", err, tc.err)
			}
		})
	}
}

// TestTransportOverTLS asks a real server: verified by its own authority, with
// a client's certificate, and refused in the three ways there are.
func TestTransportOverTLS(t *testing.T) {
	t.Parallel()
	cert, key := pair(t)
	loaded, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	serve := func(change func(*tls.Config)) *httptest.Server {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("X-Proto", r.Proto)
			_, _ = w.Write([]byte(`{"records":[]}`))
		}))
		s.TLS = &tls.Config{Certificates: []tls.Certificate{loaded}}
		change(s.TLS)
		s.EnableHTTP2 = true
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	plain := serve(func(*tls.Config) {})
	mutual := serve(func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert })
	old := serve(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11; c.MinVersion = tls.VersionTLS10 })
	for name, tc := range map[string]struct {
		server *httptest.Server
		o      TransportOptions
		code   string
	}{
		"a known authority":              {plain, TransportOptions{TLSVerify: true, CACert: cert}, ""},
		"no verification":                {plain, TransportOptions{}, ""},
		"an unknown authority":           {plain, TransportOptions{TLSVerify: true}, CodeTLS},
		"with the client's certificate":  {mutual, TransportOptions{TLSVerify: true, CACert: cert, Cert: cert, PrivateKey: key}, ""},
		"without a client's certificate": {mutual, TransportOptions{TLSVerify: true, CACert: cert}, CodeTLS},
		"TLS 1.1":                        {old, TransportOptions{}, CodeTLS},
	} {
		t.Run(name, func(t *testing.T) {
			tr, err := NewTransport(tc.o)
			if err != nil {
				t.Fatal(err)
			}
			defer tr.CloseIdleConnections()
			c := newTestClient(t, tr.RoundTrip, func(o *Options) { o.Site = mustURL(t, tc.server.URL) })
			_, err = c.Source(audit.Jira, "", "").Page(t.Context(), anyQuery)
			var e *Error
			if tc.code == "" && err != nil || tc.code != "" && (!errors.As(err, &e) || e.Code != tc.code) {
				t.Errorf("error %v, want %q", err, tc.code)
			}
		})
	}
}

// TestProxyRefusals asks through a real proxy that does not want to.
func TestProxyRefusals(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		says   string
	}{
		"it wants a password": {407, "wants a user name and password"},
		"it forbids the host": {403, "refused the connection (status 403)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodConnect || r.Header.Get("Authorization") != "" {
					t.Errorf("the proxy was asked %s %v", r.Method, r.Header)
				}
				w.WriteHeader(tc.status)
			}))
			defer proxy.Close()
			withPassword := mustURL(t, proxy.URL)
			withPassword.User = url.UserPassword("me", "hunter2")
			tr, err := NewTransport(TransportOptions{ProxyHTTPS: withPassword.String(), TLSVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			defer tr.CloseIdleConnections()
			c := newTestClient(t, tr.RoundTrip)
			_, err = c.Source(audit.Jira, "", "").Page(t.Context(), anyQuery)
			var e *Error
			if !errors.As(err, &e) || e.Code != CodeProxy || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %v", err)
			}
		})
	}
}
