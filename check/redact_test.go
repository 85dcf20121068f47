package check

import (
	"encoding/json"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

const redactAll = "redact: {drop: [ips, author.displayName, author.publicName], hash: [usr.id, emails], hash_passphrase: Kq7vZ-passphrase-of-a-test}"

// TestWhatIsRedactedIsNowhereOnTheDisk: not in the spool, not among the records
// that are too long for a line, not in the state.
func TestWhatIsRedactedIsNowhereOnTheDisk(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		long := `{"summary":"Long","remoteAddress":"203.0.113.250","authorAccountId":"712020:someone-long","category":"x","description":"` +
			strings.Repeat("mail someone-long@example.com, ", 40000) + `"}`
		w.server.Add(atlassiantest.Jira, atlassiantest.Record{Created: w.server.Records(atlassiantest.Jira)[0].Created, Raw: json.RawMessage(long)})
		w.runWell(w.config(accountAuth, redactAll))
		w.wantEverything(t)

		var secrets []string
		address := regexp.MustCompile(`"remoteAddress":"([^"]+)"`)
		account := regexp.MustCompile(`"(?:authorAccountId|accountId)":"[^"]+"`)
		mail := regexp.MustCompile(`[a-z0-9-]+@example\.com`)
		for _, p := range []string{atlassiantest.Jira, atlassiantest.Confluence} {
			for _, r := range w.server.Records(p) {
				for _, m := range address.FindAllStringSubmatch(string(r.Raw), -1) {
					secrets = append(secrets, strings.Split(m[1], ", ")...)
				}
				secrets = append(secrets, account.FindAllString(string(r.Raw), -1)...)
				secrets = append(secrets, mail.FindAllString(string(r.Raw), 3)...)
			}
		}
		if len(secrets) < 100 {
			t.Fatalf("only %d things to hide", len(secrets))
		}
		secrets = append(secrets, "Kq7vZ-passphrase-of-a-test")
		files, hashes := 0, 0
		w.walk(func(path string, info fs.FileInfo) {
			if !info.Mode().IsRegular() {
				return
			}
			files++
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			hashes += strings.Count(string(text), "hash:")
			for _, s := range secrets {
				if strings.Contains(string(text), s) {
					t.Fatalf("%s holds %s", path, s)
				}
			}
		})
		if files < 6 || hashes < 50 {
			t.Errorf("%d files with %d hashes", files, hashes)
		}
	})
}

// wantEverything fails unless each record is in the spool, and the long one aside.
func (w *world) wantEverything(t *testing.T) {
	t.Helper()
	aside := 0
	w.walk(func(path string, info fs.FileInfo) {
		if strings.Contains(path, "oversize") && info.Mode().IsRegular() {
			aside++
		}
	})
	if aside != 1 {
		t.Errorf("%d records are kept whole, want 1", aside)
	}
	w.wantSpooled("jira", "confluence")
}

func TestRedactionsThatCannotBe(t *testing.T) {
	t.Parallel()
	for redact, want := range map[string]string{
		"{hash: [summary]}":                       "redact.hash_passphrase: is missing",
		"{hash: [summary], hash_passphrase: qz9}": "is shorter than 16 characters",
		"{drop: [email]}":                         "did you mean emails",
		"{drop: [usr.phone]}":                     `redact.drop: "usr.phone" is not a field of Atlassian's record`,
		"{drop: [a..b]}":                          "is no path",
		"{drop: [summary], hash: [summary], hash_passphrase: 0123456789abcdefgh}": "both dropped and hashed",
		"{drops: [summary]}":                           "did you mean drop?",
		"{hash: [summary], hash_passphrase: 'ENC[x]'}": "still holds the handle",
		"{drop: emails}":                               "redact.drop: must be a list",
		"[emails]":                                     "must be a mapping",
	} {
		_, err := Parse(nil, []byte(goodInstance+"redact: "+redact+"\n"), Env{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", redact, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "0123456789abcdefgh") {
			t.Errorf("%s: the passphrase is shown: %v", redact, err)
		}
	}
	for _, redact := range []string{"", "{}", "{drop: [], hash: []}", "{drop: [remoteAddress, changedValues.newValue]}"} {
		if _, err := Parse(nil, []byte(goodInstance+"redact: "+redact+"\n"), Env{}); err != nil {
			t.Errorf("%q: %v", redact, err)
		}
	}
	if _, err := Parse(nil, []byte(goodInstance+"redact: {hash: [summary], hash_passphrase: 'ENC[x]'}\n"), Env{Handles: true}); err != nil {
		t.Errorf("a handle is refused before the Agent has read it: %v", err)
	}
}

func TestThePassphraseIsASecret(t *testing.T) {
	t.Parallel()
	c, err := Parse(nil, []byte(goodInstance+"redact: {hash: [summary], hash_passphrase: Kq7vZ-passphrase-of-a-test}\n"), Env{})
	if err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(c.Secrets(), " "); !strings.Contains(all, "Kq7vZ-passphrase-of-a-test") {
		t.Error("it is not among what must not be shown")
	}
}
