package auth

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
)

// FuzzTokenAnswer: whatever an authorisation server answers, a request goes out
// with the token that it issued, or there is an error that a person can be
// shown and that holds neither our secret nor anything of the answer's body but
// the code of RFC 6749.
func FuzzTokenAnswer(f *testing.F) {
	f.Add(uint16(200), "", `{"access_token":"issued","token_type":"Bearer","expires_in":3600}`)
	f.Add(uint16(200), "", `{"access_token":"issued","token_type":"mac","expires_in":"1e400"}`)
	f.Add(uint16(200), "", `{"error":"invalid_client","error_description":"unspeakable"}`)
	f.Add(uint16(200), "Content-Type: text/plain", "access_token=issued&expires_in=-5")
	f.Add(uint16(400), "", `{"error":"invalid_grant","error_description":"`+"\n"+`unspeakable"}`)
	f.Add(uint16(429), "Retry-After: 99999999999999999999", "unspeakable")
	f.Add(uint16(429), "Retry-After: Mon, 23 Nov 2026 12:05:00 GMT\nDate: Mon, 23 Nov 2026 12:00:00 GMT", "")
	f.Add(uint16(302), "Location: https://elsewhere.example.com/", "unspeakable")
	f.Add(uint16(503), "", "{")
	f.Fuzz(func(t *testing.T, status uint16, headers, body string) {
		status = 200 + status%400
		synctest.Test(t, func(t *testing.T) {
			a := &atlassian{answer: func(r *http.Request) (*http.Response, error) {
				resp := reply(int(status), body)
				for line := range strings.Lines(headers) {
					if name, value, ok := strings.Cut(line, ":"); ok {
						resp.Header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
					}
				}
				resp.Request = r
				return resp, nil
			}}
			rt := newClient(t).RoundTripper(a)
			_, err := get(t, rt)
			var e *Error
			switch {
			case err == nil && (status >= 300 || len(a.asked) == 0 || a.asked[0] == ""):
				t.Errorf("status %d: the gateway was asked with %q", status, a.asked)
			case err == nil:
			case errors.As(err, &e):
				text := e.Error()
				if strings.ContainsFunc(text, unicode.IsControl) || strings.Contains(text, plain) || strings.Contains(text, "unspeakable") {
					t.Errorf("this is no sentence to show: %q", text)
				}
				if until, waits := e.WaitUntil(); waits && (until.Before(time.Now()) || until.After(time.Now().Add(maxTokenWait))) {
					t.Errorf("it waits until %s", until)
				}
			}
		})
	})
}

// FuzzTokenFile: whatever stands in the token file, a token that is answered is
// one that was put there, and what cannot be read is set aside with a sentence,
// or refused with one.
func FuzzTokenFile(f *testing.F) {
	whole := filepath.Join(f.TempDir(), "tokens.db")
	s := NewStore(whole, clock)
	for _, key := range []string{"a", "b"} {
		if warning, err := s.put(key, storedToken{"token-" + key, epoch.Add(time.Hour)}); err != nil || warning != "" {
			f.Fatal(warning, err)
		}
	}
	if err := s.changeGrants("g", func(set *grantSet) error { set.Grants = append(set.Grants, grant{}); return nil }); err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile(whole)
	if err != nil {
		f.Fatal(err)
	}
	page := os.Getpagesize()
	f.Add([]byte{}, uint32(0))
	f.Add([]byte("garbage"), uint32(16))
	f.Add([]byte{0xff, 0xff}, uint32(3*page+10))
	f.Add(bytes.Repeat([]byte{0}, 64), uint32(bytes.Index(text, []byte("token-a"))-20))
	f.Fuzz(func(t *testing.T, patch []byte, at uint32) {
		b := bytes.Clone(text)
		copy(b[int(at)%len(b):], patch)
		path := filepath.Join(t.TempDir(), "tokens.db")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s := NewStore(path, clock)
		_, warning, err := s.get("a")
		checkShown(t, warning, err)
		if warning == "" {
			_, err := s.grants("g")
			checkShown(t, "", err)
		}
		warning, err = s.put("c", storedToken{"token-c", epoch.Add(time.Hour)})
		checkShown(t, warning, err)
	})
}

func checkShown(t *testing.T, warning string, err error) {
	t.Helper()
	if err != nil {
		warning += err.Error()
	}
	if strings.ContainsFunc(warning, unicode.IsControl) || strings.Contains(warning, "token-a") {
		t.Errorf("this is no sentence to show: %q", warning)
	}
}
