package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// linuxFiles are the files of the deb and the rpm and what the Agent, systemd and
// the adapter demand of them.
var linuxFiles = map[string]string{
	"usr/bin/atlassian-audit-records":                                        "0755 root:root", // the adapter: nobody but root may write it
	"usr/bin/atlassian-audit-records-run":                                    "0755 root:root",
	"usr/bin/atlassian-audit-records-shared":                                 "0755 root:root",
	"etc/datadog-agent/checks.d/atlassian_audit_records.py":                  "0644 root:root", // dd-agent reads it
	"etc/datadog-agent/conf.d/atlassian_audit_records.d/conf.yaml.example":   "0644 root:root",
	"usr/lib/systemd/system/atlassian-audit-records.service":                 "0644 root:root",
	"usr/lib/sysusers.d/atlassian-audit-records.conf":                        "0644 root:root",
	"etc/atlassian-audit-records":                                            "0750 root:root dir", // will hold credentials
	"usr/share/doc/atlassian-audit-records/README.md":                        "0644 root:root",
	"usr/share/doc/atlassian-audit-records/CHANGELOG.md":                     "0644 root:root",
	"usr/share/doc/atlassian-audit-records/THIRD-PARTY-LICENSES.txt":         "0644 root:root",
	"usr/share/doc/atlassian-audit-records/sbom.cdx.json":                    "0644 root:root",
	"usr/share/doc/atlassian-audit-records/docs/*.md":                        "0644 root:root",
	"etc/datadog-agent/checks.d/libdatadog-agent-atlassian_audit_records.so": "0500 root:root", // postinst gives it to dd-agent
	"deb: usr/share/doc/atlassian-audit-records/copyright":                   "0644 root:root",
	"deb: usr/share/lintian/overrides/atlassian-audit-records":               "0644 root:root",
	"rpm: usr/share/licenses/atlassian-audit-records/LICENSE":                "0644 root:root",
}

// optionalFiles are there only where they were built.
var optionalFiles = map[string]bool{
	"etc/datadog-agent/checks.d/libdatadog-agent-atlassian_audit_records.so": true,
	"libdatadog-agent-atlassian_audit_records.dll":                           true,
}

var archiveFiles = map[string]string{
	"LICENSE": "0644", "CHANGELOG.md": "0644", "THIRD-PARTY-LICENSES.txt": "0644", "sbom.cdx.json": "0644",
	"atlassian_audit_records.py": "0644", "conf.yaml.example": "0644", "README.txt": "0644",
}

// every is all packages, read back.
func every(t *testing.T) map[string]packed {
	t.Helper()
	all := map[string]packed{}
	for deb, rpm := range map[string]string{"amd64": "x86_64", "arm64": "aarch64"} {
		all["deb "+deb] = readDeb(t, built(t, program+"_", "_"+deb+".deb"))
		all["rpm "+deb] = readRPM(t, built(t, program+"-", "."+rpm+".rpm"))
		all["darwin "+deb] = readArchive(t, built(t, program+"_", "_darwin_"+deb+".tar.gz"))
	}
	all["windows amd64"] = readZip(t, built(t, program+"_", "_windows_amd64.zip"))
	all["container"] = readArchive(t, built(t, program+"_", "_container.tar.gz"))
	return all
}

// wanted are the files that a package has to have, by its name.
func wanted(name string) map[string]string {
	kind, arch, _ := strings.Cut(name, " ")
	want := map[string]string{}
	switch kind {
	case "deb", "rpm":
		for path, rights := range linuxFiles {
			if only, rest, ok := strings.Cut(path, ": "); !ok {
				want[path] = rights
			} else if only == kind {
				want[rest] = rights
			}
		}
	case "windows", "darwin":
		for path, mode := range archiveFiles {
			want[path] = mode
		}
		p := platform{kind, arch}
		want[p.exe(program)], want[p.exe(program+"-run")], want[p.exe(program+"-shared")] = "0755", "0755", "0755"
		if kind == "windows" {
			want["install.ps1"], want["uninstall.ps1"], want[nativeAdapter+".dll"] = "0644", "0644", "0755"
		} else {
			want["install.sh"], want["uninstall.sh"] = "0755", "0755"
		}
	case "container":
		want["Dockerfile"], want["LICENSE"], want["atlassian_audit_records.py"], want["conf.yaml.example"] = "0644", "0644", "0644", "0644"
		for _, arch := range []string{"amd64", "arm64"} {
			want[arch+"/"+program], want[arch+"/"+program+"-run"], want[arch+"/"+program+"-shared"] = "0755", "0755", "0755"
			want[arch+"/sbom.cdx.json"], want[arch+"/THIRD-PARTY-LICENSES.txt"] = "0644", "0644"
		}
	}
	return want
}

// TestPackages reads what was built, once, and looks at it from every side.
func TestPackages(t *testing.T) {
	t.Parallel()
	all := every(t)
	t.Run("owners and modes are what the Agent demands", func(t *testing.T) { ownersAndModes(t, all) })
	t.Run("files are of one time", func(t *testing.T) { filesOfOneTime(t, all) })
	t.Run("programs are for their platform", func(t *testing.T) { programsForTheirPlatform(t, all) })
	t.Run("the version is the same everywhere", func(t *testing.T) { versionsAgree(t, all) })
	t.Run("the Agent is recommended, not demanded", func(t *testing.T) { relations(t, all) })
	t.Run("the SBOM names what is linked", func(t *testing.T) { sbomIsTrue(t, all) })
}

func ownersAndModes(t *testing.T, all map[string]packed) {
	for name, p := range all {
		t.Run(name, func(t *testing.T) {
			want, got := wanted(name), map[string]string{}
			for path := range optionalFiles {
				if _, ok := p.members[path]; !ok {
					delete(want, path)
				}
			}
			for path, m := range p.members {
				if m.dir && path != "etc/atlassian-audit-records" {
					// What dpkg has to make on its way. rpm must not own folders that are the Agent's or the system's.
					if m.mode != 0o755 || m.owner != "root:root" || strings.HasPrefix(name, "rpm") {
						t.Errorf("the folder %s has mode %04o and belongs to %s", path, m.mode, m.owner)
					}
					continue
				}
				rights := fmt.Sprintf("%04o", m.mode)
				if strings.HasPrefix(name, "deb") || strings.HasPrefix(name, "rpm") {
					rights += " " + m.owner
				}
				if m.dir {
					rights += " dir"
				} else if len(m.data) == 0 {
					t.Errorf("%s is empty", path)
				}
				if doc := filepath.Join(filepath.Dir(path), "*.md"); linuxFiles[doc] != "" {
					path = doc
				}
				if got[path] != "" && got[path] != rights {
					t.Errorf("files like %s have %s and %s", path, got[path], rights)
				}
				got[path] = rights
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("files and rights (-want +got):\n%s", diff)
			}
		})
	}
}

func filesOfOneTime(t *testing.T, all map[string]packed) {
	for name, p := range all {
		seen := map[int64]string{}
		for path, m := range p.members {
			seen[m.at.Unix()] = path
		}
		if len(seen) != 1 {
			t.Errorf("%s: files are of %d times: %v", name, len(seen), seen)
		}
	}
}

func programsForTheirPlatform(t *testing.T, all map[string]packed) {
	for name, p := range all {
		kind, arch, _ := strings.Cut(name, " ")
		goos := kind
		if kind == "deb" || kind == "rpm" || kind == "container" {
			goos = "linux"
		}
		n := 0
		for path, m := range p.members {
			base := strings.TrimSuffix(filepath.Base(path), ".exe")
			isProgram := slices.ContainsFunc(parts, func(p struct{ name, dir, pkg string }) bool { return p.name == base })
			if m.dir || !isProgram || strings.Contains(path, "lintian") {
				continue
			}
			n++
			want := arch
			if kind == "container" {
				want = filepath.Dir(path)
			}
			info, err := buildinfo.Read(bytes.NewReader(m.data))
			noError(t, err)
			got := map[string]string{}
			for _, s := range info.Settings {
				got[s.Key] = s.Value
			}
			if got["GOOS"] != goos || got["GOARCH"] != want || got["CGO_ENABLED"] != "0" || got["-trimpath"] != "true" {
				t.Errorf("%s: %s was built for %s/%s with CGO_ENABLED=%s", name, path, got["GOOS"], got["GOARCH"], got["CGO_ENABLED"])
			}
		}
		if n == 0 || n%len(parts) != 0 {
			t.Errorf("%s holds %d programs", name, n)
		}
	}
}

// version is the one that the packages were built with, by the name of one.
func version(t *testing.T) string {
	t.Helper()
	name := filepath.Base(built(t, program+"_", "_windows_amd64.zip"))
	return strings.TrimSuffix(strings.TrimPrefix(name, program+"_"), "_windows_amd64.zip")
}

func versionsAgree(t *testing.T, all map[string]packed) {
	if runtime.GOOS != "linux" {
		t.Skip("runs a program of a Linux package")
	}
	v := version(t)
	deb := all["deb "+runtime.GOARCH]
	if want := "\nVersion: " + v + "-1\n"; !strings.Contains(string(deb.control["control"]), want) {
		t.Errorf("the deb's control lacks %q:\n%s", want, deb.control["control"])
	}
	nevra, err := all["rpm "+runtime.GOARCH].header.GetNEVRA()
	noError(t, err)
	if nevra.Version != v || nevra.Release != "1" || nevra.Name != program {
		t.Errorf("the rpm is %s", nevra)
	}
	path := filepath.Join(t.TempDir(), program)
	noError(t, os.WriteFile(path, deb.members["usr/bin/"+program].data, 0o700))
	out, err := exec.CommandContext(t.Context(), path, "version").Output()
	noError(t, err)
	if !strings.HasPrefix(string(out), program+" "+v+" (") {
		t.Errorf("the program says %q, the packages are %s", out, v)
	}
}

// The tags of rpm's header for weak dependencies, by rpm's own lib/rpmtag.h.
const (
	recommendName    = 5046
	recommendVersion = 5047
)

// relations keeps the Agent a recommendation: `run` needs none.
func relations(t *testing.T, all map[string]packed) {
	for _, arch := range []string{"amd64", "arm64"} {
		control := string(all["deb "+arch].control["control"])
		if !strings.Contains(control, "\nRecommends: datadog-agent (>= 1:7.77)\n") || strings.Contains(control, "\nDepends:") {
			t.Errorf("control:\n%s", control)
		}
	}
	header := all["rpm amd64"].header
	recommends, err := header.GetStrings(recommendName)
	noError(t, err)
	versions, err := header.GetStrings(recommendVersion)
	noError(t, err)
	if diff := cmp.Diff([]string{"datadog-agent", "1:7.77"}, append(recommends, versions...)); diff != "" {
		t.Errorf("the rpm recommends (-want +got):\n%s", diff)
	}
}

func TestChecksums(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(distDir, "SHA256SUMS"))
	noError(t, err)
	want := map[string]string{}
	for line := range strings.Lines(string(text)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok {
			t.Errorf("%s is no line of sha256sum", strconv.Quote(line))
		}
		want[name] = sum
	}
	got := map[string]string{}
	files, err := os.ReadDir(distDir)
	noError(t, err)
	for _, f := range files {
		if f.Name() != "SHA256SUMS" {
			got[f.Name()], err = sumOf(filepath.Join(distDir, f.Name()))
			noError(t, err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) < 13 {
		t.Errorf("%d files (-SHA256SUMS +dist):\n%s", len(got), diff)
	}
}
