package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// collector is one that is compared.
type collector struct {
	name     string
	products []string
	interval time.Duration
	// hire makes its processes ready for a site; their files go below folder.
	hire func(s *site, folder string) (*crew, error)
}

// script is a file of somebody else's that a reader fetches.
type script struct {
	product string
	file    string // its name in the reader's folder
	source  string // where the version that was measured is
	sum     string // SHA-256 of its text with plain line ends
}

// foreign is a collector of others, which are Python scripts.
type foreign struct {
	name     string
	shim     string // the part of the shim that it needs
	interval time.Duration
	forks    bool // is a process for each run
	gateway  bool // asks the gateway, with a scoped token
	scripts  []script
}

const raw = "https://raw.githubusercontent.com/"

// others are the collectors of others, on the schedules that their own
// configuration sets.
var others = []foreign{
	{
		name: "Sentinel function", shim: "sentinel", interval: 10 * time.Minute,
		scripts: []script{
			{
				atlassiantest.Jira, "sentinel_jira.py",
				raw + "Azure/Azure-Sentinel/5dfd3d6b851558b7fe43bb66591d613406f4deee/Solutions/AtlassianJiraAudit/Data%20Connectors/JiraAuditAPISentinelConnector/__init__.py",
				"53a61beb36af46de19320d60994d6ed8cd81ae9a3ee090cd45a148da9d05250e",
			},
			{
				atlassiantest.Confluence, "sentinel_confluence.py",
				raw + "Azure/Azure-Sentinel/0b244849506f5a629e0c6ed661ea0a2825891fbf/Solutions/AtlassianConfluenceAudit/Data%20Connectors/AtlassianConfluenceAuditDataConnector/ConfluenceAuditAPISentinelConnector/__init__.py",
				"153dd437b33e3fa9a68c86e3b3162fc085fa8cd8f7809bb92025cd028fac86df",
			},
		},
	},
	{
		name: "Splunk add-on", shim: "splunk", interval: time.Minute, forks: true,
		scripts: []script{
			{
				atlassiantest.Jira, "splunk_jira.py",
				raw + "splunk/TA-jira-cloud-add-on-for-splunk/4d0808befe2f9f13442c695a85119e95cee4e8e9/bin/input_module_jira_audit_log.py",
				"5e5c25f1f0e5d1ddae0c9cb66c3c413610a6b743a222f332545d31ed820db7c4",
			},
		},
	},
	{
		name: "Wazuh pollers", shim: "wazuh", interval: 5 * time.Minute, forks: true, gateway: true,
		scripts: []script{
			{
				atlassiantest.Jira, "wazuh_jira.py",
				raw + "MatthewBleUK/wazuh-jira/1122f1fb6b62745cba33c3e0332294dcef253e6b/integration/jira_events.py",
				"3099f4257555787c6af50561a19a6a001d26aaefd666d942ec613bf2e2fa4fe8",
			},
			{
				atlassiantest.Confluence, "wazuh_confluence.py",
				raw + "MatthewBleUK/wazuh-confluence/8be86581ddd71d97a912bf234fe1178937034aec/integration/confluence_events.py",
				"aaba91b1d325d1cf63736782a25bd0405c5c320efad18920f5479ea6796fed60",
			},
		},
	},
}

// errMissing is why a collector is left out.
var errMissing = errors.New("not fetched")

// verify reports what is wrong with the scripts in a folder, as far as they are
// needed: an error that is errMissing where they are not there.
func (f foreign) verify(folder string, anyVersion bool) error {
	for _, s := range f.scripts {
		text, err := os.ReadFile(filepath.Join(folder, s.file))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w; get it with\n    curl -fsSL -o %s \\\n        %s", s.file, errMissing, filepath.Join(folder, s.file), s.source)
		}
		if err != nil {
			return fmt.Errorf("read a script: %w", err)
		}
		if got := sumOf(text); got != s.sum && !anyVersion {
			return fmt.Errorf("%s is not the version that docs/comparison.md is about (its SHA-256, with plain line ends, is %s, not %s): "+
				"fetch that one, or give -any-version", s.file, got, s.sum)
		}
	}
	return nil
}

// sumOf is the SHA-256 of a text with plain line ends: git may have changed them.
func sumOf(text []byte) string {
	sum := sha256.Sum256(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")))
	return hex.EncodeToString(sum[:])
}

// collector makes it ready to run, with the scripts and the shim at hand.
func (f foreign) collector(python, shim, folder string) collector {
	k := collector{name: f.name, interval: f.interval}
	for _, s := range f.scripts {
		k.products = append(k.products, s.product)
	}
	k.hire = func(s *site, work string) (*crew, error) {
		o := s.Options()
		origin, token := map[string]string{}, o.ClassicToken
		for _, p := range k.products {
			origin[p] = s.url
			if f.gateway {
				origin[p], token = s.url+"/ex/"+p+"/"+o.CloudID, o.ScopedToken
			}
		}
		env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasSuffix(strings.ToLower(strings.SplitN(v, "=", 2)[0]), "_proxy") })
		var hands []*hand
		var delivered []string
		for _, sc := range f.scripts {
			path, err := filepath.Abs(filepath.Join(folder, sc.file))
			if err != nil {
				return nil, fmt.Errorf("find %s: %w", sc.file, err)
			}
			at := filepath.Join(work, sc.product)
			if err := os.MkdirAll(at, 0o700); err != nil {
				return nil, fmt.Errorf("make a folder: %w", err)
			}
			delivered = append(delivered, filepath.Join(at, "delivered.jsonl"))
			hands = append(hands, &hand{
				products: []string{sc.product}, argv: []string{python, shim, f.shim}, stays: true, forks: f.forks,
				env: append(slices.Clone(env), "NO_PROXY=*", "PYTHONDONTWRITEBYTECODE=1",
					"COMPARISON_SCRIPT="+path, "COMPARISON_PRODUCT="+sc.product, "COMPARISON_FOLDER="+at, "COMPARISON_ORIGIN="+origin[sc.product],
					"COMPARISON_EMAIL="+o.Email, "COMPARISON_TOKEN="+token, "COMPARISON_BEGIN="+begin.Add(-time.Hour).Format("2006-01-02T15:04:05")),
			})
		}
		c := newCrew(work, hands...)
		c.arrive = linesOf(delivered...)
		return c, nil
	}
	return k
}
