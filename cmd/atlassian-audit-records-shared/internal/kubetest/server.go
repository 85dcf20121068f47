package kubetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"atlassian_audit_records/cmd/atlassian-audit-records-shared/internal/cluster"
)

// Variable is the environment's, with the path of a kube-apiserver.
const Variable = "KUBE_APISERVER"

// Server is a real kube-apiserver, on an etcd of one node in the process of the test.
type Server struct {
	t     testing.TB
	url   string
	ca    []byte
	token string
	http  *http.Client
}

// ready is how long it may take to start.
const ready = 3 * time.Minute

// Start starts a kube-apiserver with RBAC. It ends with the test. Without a program to
// start the test is skipped, which it says.
func Start(t testing.TB) *Server {
	t.Helper()
	path := os.Getenv(Variable)
	if path == "" {
		t.Skipf("%s names no kube-apiserver: make test-kubernetes builds one", Variable)
	}
	dir := t.TempDir()
	s := &Server{t: t, token: "token-of-an-administrator"}
	etcd := cluster.New(t, 1)
	key := filepath.Join(dir, "accounts.pem")
	write(t, key, privateKey(t))
	users := filepath.Join(dir, "users.csv")
	write(t, users, []byte(s.token+",admin,admin,system:masters\n"))
	port := freePort(t)
	s.url = "https://127.0.0.1:" + port
	var log bytes.Buffer
	cmd := exec.Command(path,
		"--etcd-servers=http://"+etcd.Endpoints()[0], "--cert-dir="+dir, "--bind-address=127.0.0.1", "--endpoint-reconciler-type=none", "--secure-port="+port,
		"--authorization-mode=RBAC", "--token-auth-file="+users, "--service-cluster-ip-range=10.0.0.0/24", "--disable-admission-plugins=ServiceAccount",
		"--service-account-issuer="+s.url, "--service-account-key-file="+key, "--service-account-signing-key-file="+key)
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	var failed error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		failed = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	late := time.After(ready)
	for !s.isReady(filepath.Join(dir, "apiserver.crt")) {
		select {
		case <-ended:
			text := log.String()
			t.Fatalf("the kube-apiserver ended: %v\n%s", failed, text[max(0, len(text)-4000):])
		case <-late:
			t.Fatalf("the kube-apiserver is not ready after %s", ready)
		case <-tick.C:
		}
	}
	return s
}

func (s *Server) isReady(certificate string) bool {
	if s.http == nil {
		ca, err := os.ReadFile(certificate)
		if err != nil || len(ca) == 0 {
			return false
		}
		client, err := rest.HTTPClientFor(&rest.Config{TLSClientConfig: rest.TLSClientConfig{CAData: ca}})
		if err != nil {
			return false
		}
		s.ca, s.http = ca, client
	}
	code, _ := s.ask(http.MethodGet, "/readyz", nil)
	return code == http.StatusOK
}

// ask asks as the administrator. Code 0 is no answer.
func (s *Server) ask(method, path string, body []byte) (code int, answer []byte) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+s.token)
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	r, err := s.http.Do(q)
	if err != nil {
		return 0, nil
	}
	defer r.Body.Close()
	answer, err = io.ReadAll(r.Body)
	if err != nil {
		return 0, nil
	}
	return r.StatusCode, answer
}

// Apply makes the objects of a manifest, as kubectl does.
func (s *Server) Apply(objects []map[string]any) {
	s.t.Helper()
	paths := map[string]string{
		"Namespace": "/api/v1/namespaces", "ServiceAccount": "/api/v1/namespaces/%s/serviceaccounts",
		"Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/roles", "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/rolebindings",
	}
	for _, o := range objects {
		kind, _ := o["kind"].(string)
		path := paths[kind]
		if path == "" {
			s.t.Fatalf("the manifest holds a %q, which nobody expects", kind)
		}
		if strings.Contains(path, "%s") {
			path = fmt.Sprintf(path, meta(o)["namespace"])
		}
		body, err := json.Marshal(o)
		if err != nil {
			s.t.Fatal(err)
		}
		if code, answer := s.ask(http.MethodPost, path, body); code != http.StatusCreated && code != http.StatusConflict {
			s.t.Fatalf("make a %s: %d %s", kind, code, answer)
		}
	}
}

// As is the way in for a service account, which it makes.
func (s *Server) As(namespace, account string) *rest.Config {
	s.t.Helper()
	s.Apply([]map[string]any{
		{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace}},
		{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": map[string]any{"name": account, "namespace": namespace}},
	})
	body := []byte(`{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}`)
	code, answer := s.ask(http.MethodPost, "/api/v1/namespaces/"+namespace+"/serviceaccounts/"+account+"/token", body)
	var token struct {
		Status struct {
			Token string `json:"token"`
		} `json:"status"`
	}
	if err := json.Unmarshal(answer, &token); err != nil || code != http.StatusCreated || token.Status.Token == "" {
		s.t.Fatalf("make a token: %d, %v", code, err)
	}
	return &rest.Config{Host: s.url, BearerToken: token.Status.Token, TLSClientConfig: rest.TLSClientConfig{CAData: s.ca}}
}

// Names are the names of the objects of a resource in Namespace.
func (s *Server) Names(resource string) []string {
	s.t.Helper()
	code, answer := s.ask(http.MethodGet, "/api/v1/namespaces/"+Namespace+"/"+resource, nil)
	var list struct {
		Items []map[string]any `json:"items"`
	}
	if err := json.Unmarshal(answer, &list); err != nil || code != http.StatusOK {
		s.t.Fatalf("list the %s: %d, %v", resource, code, err)
	}
	var out []string
	for _, o := range list.Items {
		name, _ := meta(o)["name"].(string)
		out = append(out, name)
	}
	return out
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func privateKey(t testing.TB) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

// freePort is one on which nobody listens.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Admin is the administrator's way in.
func (s *Server) Admin() *rest.Config {
	return &rest.Config{Host: s.url, BearerToken: s.token, TLSClientConfig: rest.TLSClientConfig{CAData: s.ca}}
}
