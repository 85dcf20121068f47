package check

import (
	"bytes"
	"errors"
	"io/fs"
)

// TLS is how the other side is told from an impostor.
type TLS struct {
	// Verify is false where the operator accepts any certificate.
	Verify bool `json:"verify"`
	// CACert, Cert and PrivateKey are paths of PEM files, or empty. Where only
	// Cert is given, it holds the private key too.
	CACert     string `json:"ca_cert,omitempty"`
	Cert       string `json:"cert,omitempty"`
	PrivateKey string `json:"private_key,omitempty"`
}

func (s *section) tls(env Env) TLS {
	t := TLS{Verify: s.boolean("tls_verify", true)}
	if !t.Verify {
		s.warnf("tls_verify", "is false: whoever is on the way to Atlassian can read the credential; give tls_ca_cert instead")
	}
	var cert []byte
	t.CACert, _ = s.pemFile(env, "tls_ca_cert", "CERTIFICATE")
	t.Cert, cert = s.pemFile(env, "tls_cert", "CERTIFICATE")
	t.PrivateKey, _ = s.pemFile(env, "tls_private_key", "PRIVATE KEY")
	switch {
	case s.given("tls_private_key") && !s.given("tls_cert"):
		s.addf("tls_cert", "is missing: tls_private_key is of no use without it")
	case t.Cert != "" && cert != nil && !s.given("tls_private_key") && !bytes.Contains(cert, []byte("PRIVATE KEY-----")):
		s.addf("tls_private_key", "is missing: the file of tls_cert holds no private key")
	}
	return t
}

// pemFile reads the path of a file that must hold a block of that kind. The
// contents are nil where they could not be read, which is reported.
func (s *section) pemFile(env Env, key, block string) (path string, contents []byte) {
	path, contents, ok := s.file(env, key)
	if ok && !bytes.Contains(contents, []byte(block+"-----")) {
		s.addf(key, "%s holds no %s in PEM form", path, map[string]string{"CERTIFICATE": "certificate", "PRIVATE KEY": "private key"}[block])
		return path, nil
	}
	return path, contents
}

// file reads a file that an option names by its absolute path. ok tells that it was
// given and read; what is wrong with it is added to the problems.
func (s *section) file(env Env, key string) (path string, contents []byte, ok bool) {
	path, ok = s.absolute(key)
	if !ok {
		return "", nil, false
	}
	contents, err := env.readFile(path)
	var pe *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.addf(key, "%s does not exist", path)
		return path, nil, false
	case errors.Is(err, fs.ErrPermission):
		s.addf(key, "%s may not be read by the user that runs this program", path)
		return path, nil, false
	case errors.As(err, &pe):
		s.addf(key, "%s cannot be read: %s", path, pe.Err)
		return path, nil, false
	case err != nil:
		s.addf(key, "%s cannot be read: %s", path, err)
		return path, nil, false
	}
	return path, contents, true
}
