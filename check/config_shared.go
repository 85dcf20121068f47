package check

import (
	"atlassian_audit_records/pkg/auth"
	"atlassian_audit_records/pkg/shared"
)

// Shared is the store through which machines share the sites.
type Shared struct {
	URL string
	// Username and Password are the store's; empty where it wants none.
	Username string      `json:",omitempty"`
	Password auth.Secret `json:",omitempty"`
	TLS      TLS
	// Kubeconfig is the path of a kubeconfig; empty in a pod, and for etcd.
	Kubeconfig string `json:",omitempty"`
}

// store is what opens it.
func (s *Shared) store() shared.Config {
	return shared.Config{URL: s.URL, Username: s.Username, Password: s.Password.Reveal(),
		CACert: s.TLS.CACert, Cert: s.TLS.Cert, PrivateKey: s.TLS.PrivateKey, SkipVerify: !s.TLS.Verify, Kubeconfig: s.Kubeconfig}
}

// kubeconfigOption and etcdOptions are what one kind of store alone has.
const kubeconfigOption = "state_kubeconfig"

func etcdOptions() []string {
	return []string{"state_username", "state_password", "state_tls_ca_cert", "state_tls_cert", "state_tls_private_key", "state_tls_verify"}
}

// shared reads where machines share the sites; nil where state lies in files under
// the run path.
func (s *section) shared(env Env) *Shared {
	v, ok := s.str("state")
	if !ok || v == "" {
		for _, key := range append(etcdOptions(), kubeconfigOption) {
			if s.given(key) && !s.isHandle("state") {
				s.addf(key, "is of no use without state: it is about the store that state names")
			}
		}
		return nil
	}
	c := &Shared{URL: v}
	if err := c.store().Check(); err != nil {
		s.addf("state", "%s", err)
	}
	if c.store().IsKubernetes() {
		for _, key := range etcdOptions() {
			if s.given(key) {
				s.addf(key, "is about etcd: what gets into Kubernetes stands in the file that state_kubeconfig names, or is given to the pod")
			}
		}
		c.TLS.Verify = true
		c.Kubeconfig, _, _ = s.file(env, kubeconfigOption)
		return c
	}
	if s.given(kubeconfigOption) {
		s.addf(kubeconfigOption, "is about Kubernetes, and state names an etcd")
	}
	c.Username, _ = s.str("state_username")
	if s.given("state_password") {
		c.Password = s.secret("state_password")
	}
	switch {
	case s.given("state_username") && !s.given("state_password") && !s.isHandle("state_password"):
		s.addf("state_password", "is missing: state_username is of no use without it")
	case s.given("state_password") && !s.given("state_username") && !s.isHandle("state_username"):
		s.addf("state_username", "is missing: state_password is of no use without it")
	}
	c.TLS.CACert, _ = s.pemFile(env, "state_tls_ca_cert", "CERTIFICATE")
	c.TLS.Cert, _ = s.pemFile(env, "state_tls_cert", "CERTIFICATE")
	c.TLS.PrivateKey, _ = s.pemFile(env, "state_tls_private_key", "PRIVATE KEY")
	if s.given("state_tls_cert") != s.given("state_tls_private_key") {
		s.addf("state_tls_cert", "and state_tls_private_key belong together: give both, or neither")
	}
	if c.TLS.Verify = s.boolean("state_tls_verify", true); !c.TLS.Verify {
		s.warnf("state_tls_verify", "is false: whoever is on the way to the store can change what was collected up to where; give state_tls_ca_cert instead")
	}
	return c
}
