package main

import "io/fs"

// entry is one file of an archive: where it is from, below the checkout or, for
// programs and documents, below the platform's folder of them, and what it
// becomes. Archives are the property of nobody: who unpacks them owns the files,
// and the install scripts give them owners.
type entry struct {
	from origin
	src  string
	dst  string
	mode fs.FileMode
	// optional files are left out where they were not built.
	optional bool
}

type origin int

const (
	checkout origin = iota
	programsOf
	documentsOf
)

// common is what every archive holds beside its programs.
func common() []entry {
	return []entry{
		{src: "LICENSE", dst: "LICENSE", mode: 0o644},
		{src: "CHANGELOG.md", dst: "CHANGELOG.md", mode: 0o644},
		{from: documentsOf, src: "THIRD-PARTY-LICENSES.txt", dst: "THIRD-PARTY-LICENSES.txt", mode: 0o644},
		{from: documentsOf, src: "sbom.cdx.json", dst: "sbom.cdx.json", mode: 0o644},
		{src: "adapters/python/atlassian_audit_records.py", dst: "atlassian_audit_records.py", mode: 0o644},
		{src: "conf.d/atlassian_audit_records.d/conf.yaml.example", dst: "conf.yaml.example", mode: 0o644},
	}
}

func windowsLayout() []entry {
	return append(append(common(), programEntries(platform{os: "windows"}, "")...),
		entry{from: programsOf, src: nativeAdapter + ".dll", dst: nativeAdapter + ".dll", mode: 0o755, optional: true},
		entry{src: "packaging/windows/README.txt", dst: "README.txt", mode: 0o644},
		entry{src: "packaging/windows/install.ps1", dst: "install.ps1", mode: 0o644},
		entry{src: "packaging/windows/uninstall.ps1", dst: "uninstall.ps1", mode: 0o644},
	)
}

func macLayout() []entry {
	return append(append(common(), programEntries(platform{os: "darwin"}, "")...),
		entry{src: "packaging/macos/README.txt", dst: "README.txt", mode: 0o644},
		entry{src: "packaging/macos/install.sh", dst: "install.sh", mode: 0o755},
		entry{src: "packaging/macos/uninstall.sh", dst: "uninstall.sh", mode: 0o755},
	)
}

// containerLayout is the build context of the image: what is the same on every
// processor, and a folder for each.
func containerLayout(p platform) []entry {
	return append(programEntries(p, p.arch+"/"),
		entry{from: documentsOf, src: "THIRD-PARTY-LICENSES.txt", dst: p.arch + "/THIRD-PARTY-LICENSES.txt", mode: 0o644},
		entry{from: documentsOf, src: "sbom.cdx.json", dst: p.arch + "/sbom.cdx.json", mode: 0o644},
	)
}

// programEntries are a platform's programs, in a folder.
func programEntries(p platform, folder string) []entry {
	var entries []entry
	for _, part := range parts {
		entries = append(entries, entry{from: programsOf, src: p.exe(part.name), dst: folder + p.exe(part.name), mode: 0o755})
	}
	return entries
}

func containerCommon() []entry {
	return []entry{
		{src: "packaging/container/Dockerfile", dst: "Dockerfile", mode: 0o644},
		{src: "LICENSE", dst: "LICENSE", mode: 0o644},
		{src: "adapters/python/atlassian_audit_records.py", dst: "atlassian_audit_records.py", mode: 0o644},
		{src: "conf.d/atlassian_audit_records.d/conf.yaml.example", dst: "conf.yaml.example", mode: 0o644},
	}
}
