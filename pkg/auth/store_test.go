package auth

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

var epoch = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return epoch }

func newStore(t *testing.T) *Store {
	t.Helper()
	return NewStore(filepath.Join(t.TempDir(), "state", "tokens.db"), clock)
}

func put(t *testing.T, s *Store, key, token string) {
	t.Helper()
	if warning, err := s.put(key, storedToken{token, epoch.Add(time.Hour)}); err != nil || warning != "" {
		t.Fatalf("put: %q, %v", warning, err)
	}
}

func mustHold(t *testing.T, s *Store, key, want string) {
	t.Helper()
	got, warning, err := s.get(key)
	if err != nil || warning != "" || got.AccessToken != want {
		t.Fatalf("%s holds %d characters, %q, %v; want %q", key, len(got.AccessToken), warning, err, want)
	}
}

func TestStoreKeepsTokens(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	mustHold(t, s, "a", "")
	put(t, s, "a", "token-a")
	put(t, s, "b", "token-b")
	put(t, s, "a", "token-a2")
	again := NewStore(s.path, clock)
	mustHold(t, again, "a", "token-a2")
	mustHold(t, again, "b", "token-b")
	mustHold(t, again, "c", "")
	if runtime.GOOS != "windows" {
		for path, want := range map[string]os.FileMode{s.path: 0o600, filepath.Dir(s.path): 0o700} {
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", path, info.Mode(), err)
			}
		}
	}
	files, err := os.ReadDir(filepath.Dir(s.path))
	if err != nil || len(files) != 1 {
		t.Errorf("%d files, %v", len(files), err)
	}
}

func TestStoreDropsTokensThatHaveEnded(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	put(t, s, "old", "token-old")
	later := NewStore(s.path, func() time.Time { return epoch.Add(2 * time.Hour) })
	put(t, later, "new", "token-new")
	mustHold(t, later, "old", "")
}

func TestStoreAcrossRuns(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens.db")
	a := &atlassian{}
	run := func(secret Secret) *ClientCredentials {
		c := newClient(t, func(o *ClientCredentialsOptions) {
			o.Store = NewStore(path, clock)
			o.Now = clock
			o.ClientSecret = secret
		})
		if status, err := get(t, c.RoundTripper(a)); err != nil || status != 200 {
			t.Fatalf("status %d, %v", status, err)
		}
		if w := c.Warnings(); w != nil {
			t.Errorf("warnings %q", w)
		}
		return c
	}
	run(plain)
	run(plain)
	if a.issued != 1 {
		t.Errorf("%d tokens for two runs", a.issued)
	}
	// A token that another process fetched meanwhile is taken before a new one
	// is asked for.
	c := run(plain)
	put(t, c.store, c.key, "token-9")
	a.good = "token-9"
	if status, err := get(t, c.RoundTripper(a)); err != nil || status != 200 || a.issued != 1 {
		t.Errorf("status %d, %d tokens, %v", status, a.issued, err)
	}
	// The secret stands in no byte of the file.
	data, err := os.ReadFile(path)
	if err != nil || bytes.Contains(data, []byte(plain)) || bytes.Contains(data, []byte("the-id")) {
		t.Errorf("the file holds the secret or the id (%v)", err)
	}
}

func TestAnotherSecretIsAnotherToken(t *testing.T) {
	t.Parallel()
	keys := map[string]bool{}
	for _, change := range []func(*ClientCredentialsOptions){
		func(*ClientCredentialsOptions) {},
		func(o *ClientCredentialsOptions) { o.ClientSecret = "other" },
		func(o *ClientCredentialsOptions) { o.ClientID = "other" },
		func(o *ClientCredentialsOptions) { o.ClientID, o.ClientSecret = "the-i", "d"+plain },
		func(o *ClientCredentialsOptions) { o.AuthServer = parse(t, "https://auth.example") },
	} {
		keys[newClient(t, change).key] = true
	}
	if len(keys) != 5 {
		t.Errorf("%d keys for 5 credentials", len(keys))
	}
}

func TestUnreadableStoreIsSetAside(t *testing.T) {
	t.Parallel()
	whole := newStore(t)
	put(t, whole, "a", "token-a")
	good, err := os.ReadFile(whole.path)
	if err != nil {
		t.Fatal(err)
	}
	damage := func(change func([]byte) []byte) []byte { return change(bytes.Clone(good)) }
	zero := func(from, to int) []byte {
		return damage(func(b []byte) []byte { clear(b[min(from, len(b)):min(to, len(b))]); return b })
	}
	page := os.Getpagesize()
	for name, data := range map[string][]byte{
		"junk":                       []byte("junk"),
		"a page of junk":             bytes.Repeat([]byte("junk"), 4096),
		"half of the file":           good[:len(good)/2],
		"a third of the file":        good[:len(good)/3],
		"its first page":             good[:page],
		"zeroes":                     make([]byte, len(good)),
		"both meta pages lost":       zero(0, 2*page),
		"everything but the meta":    zero(2*page, len(good)),
		"a value that is not ours":   damage(func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`{"access_token`), []byte(`]"access_token`)) }),
		"page numbers out of bounds": damage(func(b []byte) []byte { copyAt(b, 2*page, 0xff, len(b)-2*page); return b }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "tokens.db")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			a := &atlassian{}
			c := newClient(t, func(o *ClientCredentialsOptions) { o.Store, o.Now = NewStore(path, clock), clock })
			key := c.key
			if status, err := get(t, c.RoundTripper(a)); err != nil || status != 200 || a.issued != 1 {
				t.Fatalf("status %d, %d tokens, %v", status, a.issued, err)
			}
			warnings := c.Warnings()
			readable := name == "a value that is not ours" // under another key: dropped as ended
			if !readable && (len(warnings) != 1 || !strings.Contains(warnings[0], "set aside as tokens.db.unreadable-20261123T120000.000Z")) {
				t.Errorf("warnings %q", warnings)
			}
			if c.Warnings() != nil {
				t.Error("warnings were not forgotten")
			}
			mustHold(t, NewStore(path, clock), key, "token-1")
		})
	}
}

func copyAt(b []byte, at int, v byte, n int) {
	for i := range n {
		b[at+i] = v
	}
}

func TestADamagedValueCountsAsNoneAndCostsNoOther(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	put(t, s, "a", "token-a")
	put(t, s, "b", "token-b")
	if err := s.changeGrants("app", func(g *grantSet) error {
		g.Grants = append(g.Grants, grant{ID: "1", RefreshToken: "r"})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(s.path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(tokensBucket)).Put([]byte("a"), []byte("{")) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	got, warning, err := s.get("a")
	if err != nil || got.AccessToken != "" || warning != "" {
		t.Errorf("%d characters, %q, %v", len(got.AccessToken), warning, err)
	}
	put(t, s, "a", "token-a2")
	mustHold(t, s, "a", "token-a2")
	mustHold(t, s, "b", "token-b")
	set, err := s.grants("app")
	if err != nil || len(set.Grants) != 1 || set.Grants[0].RefreshToken != "r" {
		t.Errorf("the consent beside it: %d, %v", len(set.Grants), err)
	}
}

func TestEmptyFileIsNoDamage(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := NewStore(path, clock)
	mustHold(t, s, "a", "")
	put(t, s, "a", "token-a")
	mustHold(t, s, "a", "token-a")
}

func TestPlantedFilesAreRefused(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Log("symbolic links need a privilege here; only the folder is tried")
	}
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, plant := range map[string]func(string) error{
		"a link to a file":  func(p string) error { return os.Symlink(victim, p) },
		"a link to nothing": func(p string) error { return os.Symlink(victim+"-new", p) },
		"a folder":          func(p string) error { return os.Mkdir(p, 0o700) },
	} {
		if runtime.GOOS == "windows" && name != "a folder" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "tokens.db")
			if err := plant(path); err != nil {
				t.Fatal(err)
			}
			a := &atlassian{}
			c := newClient(t, func(o *ClientCredentialsOptions) { o.Store, o.Now = NewStore(path, clock), clock })
			_, err := get(t, c.RoundTripper(a))
			var e *Error
			if !errors.As(err, &e) || e.Code() != CodeTokenStore || !e.NeedsPerson() || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v", err)
			}
			if _, err := NewStore(path, clock).put("a", storedToken{"t", epoch.Add(time.Hour)}); !errors.As(err, &e) {
				t.Errorf("put: %v", err)
			}
			if data, err := os.ReadFile(victim); err != nil || string(data) != "precious" || a.issued != 0 {
				t.Errorf("the link's target holds %q, %v; %d tokens fetched", data, err, a.issued)
			}
			if _, err := os.Lstat(victim + "-new"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a file was made through the link: %v", err)
			}
		})
	}
}

func TestOthersLoseTheirPermissions(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Log("Windows keeps no permission bits")
		return
	}
	s := newStore(t)
	put(t, s, "a", "token-a")
	if err := os.Chmod(s.path, 0o644); err != nil {
		t.Fatal(err)
	}
	mustHold(t, s, "a", "token-a")
	if info, err := os.Stat(s.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// TestUnusableStoreIsDoneWithout: a token is worth more than its keeping.
func TestUnusableStoreIsDoneWithout(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	busy := newStore(t)
	put(t, busy, "x", "token-x")
	db, err := bbolt.Open(busy.path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for name, tc := range map[string]struct{ path, warning string }{
		"a folder that cannot be made":    {filepath.Join(file, "tokens.db"), "tokens cannot be kept in"},
		"a file that another process has": {busy.path, "is in use by another process"},
	} {
		t.Run(name, func(t *testing.T) {
			a := &atlassian{}
			c := newClient(t, func(o *ClientCredentialsOptions) { o.Store, o.Now = NewStore(tc.path, clock), clock })
			if status, err := get(t, c.RoundTripper(a)); err != nil || status != 200 {
				t.Fatalf("status %d, %v", status, err)
			}
			w := c.Warnings()
			if len(w) != 1 || !strings.Contains(w[0], tc.warning) || strings.Contains(w[0], "token-1") {
				t.Errorf("warnings %q", w)
			}
		})
	}
}

// TestStoreIsSharedByProcesses stands for several processes: every transaction
// opens the file anew.
func TestStoreIsSharedByProcesses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens.db")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			s := NewStore(path, clock)
			key := string(rune('a' + i))
			for range 3 {
				if w, err := s.put(key, storedToken{"token-" + key, epoch.Add(time.Hour)}); err != nil || w != "" {
					t.Errorf("put: %q, %v", w, err)
				}
				if got, w, err := s.get(key); err != nil || w != "" || got.AccessToken != "token-"+key {
					t.Errorf("get: %q, %q, %v", got.AccessToken, w, err)
				}
			}
		})
	}
	wg.Wait()
}
