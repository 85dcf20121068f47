package check

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

func TestNothingSecretIsWrittenOrSaid(t *testing.T) {
	t.Parallel()
	for name, auth := range map[string]string{"a classic token": classicAuth, "a scoped token": scopedAuth, "a service account": accountAuth} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world) {
				c := w.config(auth)
				said := everything(w.runWell(c))
				w.server.Deny("confluence", atlassiantest.NotAdmin)
				said += everything(w.runOnce(c))
				w.server.Revoke(atlassiantest.Classic)
				w.server.Revoke(atlassiantest.Scoped)
				w.server.Revoke(atlassiantest.Client)
				w.server.RevokeTokens()
				said += everything(w.runOnce(c))
				secrets := append(c.Secrets(), "simulated-access-token-")
				for _, secret := range secrets {
					if strings.Contains(said, secret) {
						t.Errorf("%q was said", secret)
					}
				}
				issued := false
				w.walk(func(path string, info fs.FileInfo) {
					if !info.Mode().IsRegular() {
						return
					}
					text, err := os.ReadFile(path)
					if err != nil {
						t.Fatal(err)
					}
					for _, secret := range secrets {
						if !strings.Contains(string(text), secret) {
							continue
						}
						if path == agent.TokenFile(agent.Base(w.run)) && secret == "simulated-access-token-" {
							issued = true
							continue
						}
						t.Errorf("%s holds %q", path, secret)
					}
				})
				if issued != (auth == accountAuth) {
					t.Errorf("an issued token was kept: %v", issued)
				}
			})
		})
	}
}

func TestEverythingIsClosedToOthers(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows shows no such modes")
	}
	inWorld(t, func(t *testing.T, w *world) {
		w.runWell(w.config(accountAuth))
		files := 0
		w.walk(func(path string, info fs.FileInfo) {
			want := fs.FileMode(0o600)
			switch {
			case path == w.run:
				return
			case info.IsDir():
				want = 0o700
			default:
				files++
			}
			if info.Mode().Perm() != want {
				t.Errorf("%s has the mode %04o", path, info.Mode().Perm())
			}
		})
		if files < 7 {
			t.Errorf("there are only %d files", files)
		}
	})
}

func TestAPlantedLinkIsRefused(t *testing.T) {
	t.Parallel()
	for _, planted := range []string{"", "state", "state/example.atlassian.net", "spool", "spool/jira-audit-records", "collected"} {
		t.Run("at "+filepath.Join("base", planted), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world) {
				elsewhere := t.TempDir()
				at := filepath.Join(agent.Base(w.run), filepath.FromSlash(planted))
				if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(elsewhere, at); err != nil {
					t.Skip("no symbolic links here: ", err)
				}
				res, rec := w.runOnce(w.config(classicAuth, "products: [jira]"))
				if !strings.Contains(res.Error, at+" is a symbolic link") {
					t.Errorf("the error is %q", res.Error)
				}
				if got := kinds(w.requests()); slices.Contains(got, "jira at site") {
					t.Errorf("it asked %v", got)
				}
				if left, err := os.ReadDir(elsewhere); err != nil || len(left) > 0 {
					t.Errorf("it wrote %v through the link (%v)", left, err)
				}
				if short, _ := states(rec); !slices.Contains(short, "can_connect jira UNKNOWN") {
					t.Errorf("service checks %v", short)
				}
			})
		})
	}
}
