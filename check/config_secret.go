package check

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"runtime"
	"strings"
	"unicode/utf8"

	"atlassian_audit_records/pkg/auth"
)

// hidden stands wherever a secret would have been printed.
const hidden = "********"

// handle is what the Agent's secret management replaces: the whole value.
var handle = regexp.MustCompile(`^\s*ENC\[(.*)\]\s*$`)

// placeholder is what examples write where a value belongs.
var placeholder = regexp.MustCompile(`<[A-Z][A-Z0-9_ ]*>`)

// secret reads an option that holds a credential.
func (s *section) secret(key string) auth.Secret {
	f, ok := s.fields[key]
	if !ok {
		return ""
	}
	s.ps.hide(f.value.Value)
	s.ps.hide(strings.TrimSpace(f.value.Value))
	v, ok := s.str(key)
	if !ok {
		if f.null() {
			s.addf(key, "is empty: put the secret here, best as a handle of the Agent's secret management, ENC[name]")
		}
		return ""
	}
	if v == "" {
		s.addf(key, "is empty: put the secret here, best as a handle of the Agent's secret management, ENC[name]")
		return ""
	}
	if reason := badSecret(v); reason != "" {
		s.addf(key, "%s", reason)
		return ""
	}
	return auth.Secret(v)
}

// badSecret says why v cannot be a credential that is sent in a header or a
// form; "" when it can.
func badSecret(v string) string {
	if strings.TrimSpace(v) != v {
		return "begins or ends with white space: remove it (a secret backend that ends its answers with a line break does this)"
	}
	if !utf8.ValidString(v) {
		return "is not valid UTF-8: copy the secret anew"
	}
	for _, r := range v {
		if r <= ' ' || r > '~' {
			return "holds a space, a line break or a character outside ASCII, which no credential of Atlassian's does: copy the secret anew"
		}
	}
	return ""
}

// maxSecretFile is far above the length of any credential, in bytes.
const maxSecretFile = 64 << 10

// ReadSecretFile reads a credential from a regular file that only its owner
// may read (on Windows, where modes say nothing, any regular file). One line
// break at the end is not part of the secret. Errors say what to do and never
// what the file holds.
func ReadSecretFile(path string) (auth.Secret, error) {
	before, err := os.Stat(path)
	if err != nil {
		return "", secretFileError(err)
	}
	if !before.Mode().IsRegular() {
		return "", errors.New("is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", secretFileError(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", secretFileError(err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("is not a regular file")
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return "", fmt.Errorf("has mode %04o, so that others may read the secret: give it to the Agent's user with mode 0600", mode)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", secretFileError(err)
	}
	if len(data) > maxSecretFile {
		return "", errors.New("is larger than 64 KiB: it should hold the secret and nothing else")
	}
	data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	if len(data) == 0 {
		return "", errors.New("is empty: it should hold the secret and nothing else")
	}
	if reason := badSecret(string(data)); reason != "" {
		return "", errors.New("the secret in it " + reason)
	}
	return auth.Secret(data), nil
}

func secretFileError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("does not exist")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("may not be read by the user that runs this program: give the file to the Agent's user (dd-agent)")
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return fmt.Errorf("cannot be read: %w", pe.Err)
	}
	return fmt.Errorf("cannot be read: %w", err)
}
