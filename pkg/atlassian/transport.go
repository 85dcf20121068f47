package atlassian

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// TransportOptions are how connections are made.
type TransportOptions struct {
	// ProxyHTTP and ProxyHTTPS are the proxies' URLs for http:// and https://
	// addresses; empty means none. A URL without scheme is an http:// one.
	ProxyHTTP, ProxyHTTPS string
	// NoProxy lists what is reached without a proxy, in the forms that the
	// Agent's checks know: see bypass.
	NoProxy []string
	// SkipProxy ignores all of the above.
	SkipProxy bool
	// TLSVerify is false only where the operator accepts any certificate.
	TLSVerify bool
	// CACert, Cert and PrivateKey are paths of PEM files, or empty. CACert is
	// trusted in addition to the system's authorities.
	CACert, Cert, PrivateKey string
	// Timeout bounds a connection's and a handshake's making; 0 means 10 s.
	Timeout time.Duration
}

// NewTransport is a transport without credentials. It reads the environment
// for nothing. The caller closes its idle connections when done
// (CloseIdleConnections).
func NewTransport(o TransportOptions) (*http.Transport, error) {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	config, err := tlsConfig(o)
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		TLSClientConfig:     config,
		ForceAttemptHTTP2:   true, // a TLS configuration of one's own turns it off otherwise
		DialContext:         (&net.Dialer{Timeout: o.Timeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: o.Timeout,
		MaxIdleConns:        8,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     30 * time.Second,
		// A header is a few hundred bytes; what is larger is no answer of Atlassian's.
		MaxResponseHeaderBytes: 256 << 10,
	}
	if o.SkipProxy {
		return t, nil
	}
	if t.Proxy, err = proxyFunc(o); err != nil {
		return nil, err
	}
	t.OnProxyConnectResponse = func(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		return &ProxyError{Proxy: proxy.Host, Status: resp.StatusCode}
	}
	return t, nil
}

// ProxyError says that the proxy would not make a connection.
type ProxyError struct {
	// Proxy is its host and port.
	Proxy string
	// Status is the HTTP status with which it refused.
	Status int
}

func (e *ProxyError) Error() string {
	if e.Status == http.StatusProxyAuthRequired {
		return fmt.Sprintf("the proxy %s wants a user name and password (status 407)", e.Proxy)
	}
	return fmt.Sprintf("the proxy %s refused the connection (status %d)", e.Proxy, e.Status)
}

func tlsConfig(o TransportOptions) (*tls.Config, error) {
	c := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: !o.TLSVerify, //nolint:gosec // the operator's choice, `tls_verify: false`
	}
	if o.CACert != "" {
		pem, err := os.ReadFile(o.CACert)
		if err != nil {
			return nil, fmt.Errorf("read tls_ca_cert: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read tls_ca_cert: %s holds no certificate in PEM form", o.CACert)
		}
		c.RootCAs = pool
	}
	switch {
	case o.Cert == "" && o.PrivateKey == "":
		return c, nil
	case o.Cert == "":
		return nil, errors.New("tls_private_key is set, but tls_cert is not: give both or neither")
	case o.PrivateKey == "":
		// As in the Agent's checks, one file may hold both.
		o.PrivateKey = o.Cert
	}
	pair, err := tls.LoadX509KeyPair(o.Cert, o.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("read tls_cert and tls_private_key: %w", err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}
