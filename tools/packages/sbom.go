package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// web is what is embedded that is no Go module; docs/dependencies.md tells of it,
// and a test of internal/preview keeps its checksums.
var web = []struct{ name, version, id, licenceFile string }{
	{"uplot", "1.6.32", "MIT", "uplot.LICENSE"},
	{"world-atlas", "2.0.2", "ISC", "world.LICENSE"},
}

const webDir = "cmd/" + program + "/internal/preview/web"

// writeDocuments writes the SBOM and the licences of one platform's programs, as
// the linker itself noted what it put into them.
func (r release) writeDocuments(ctx context.Context, p platform, l *licences) error {
	var modules []module
	var goVersion string
	var inside []cdx.Component
	for _, part := range parts {
		path := filepath.Join(r.programs(p), p.exe(part.name))
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read what is in %s: %w", path, err)
		}
		goVersion = strings.TrimPrefix(info.GoVersion, "go")
		for _, d := range info.Deps {
			if d.Replace != nil {
				d = d.Replace
			}
			if d.Version != "" && d.Version != "(devel)" { // ours are replaced by folders, which have none
				modules = append(modules, module{d.Path, d.Version, d.Sum})
			}
		}
		sum, err := sumOf(path)
		if err != nil {
			return err
		}
		inside = append(inside, cdx.Component{
			BOMRef: part.name, Type: cdx.ComponentTypeApplication, Name: p.exe(part.name), Version: r.version,
			Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: sum}},
		})
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.String(), b.String()) })
	modules = slices.Compact(modules)
	found, err := l.of(ctx, modules)
	if err != nil {
		return err
	}
	dir := r.documents(p)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // for everybody to read
		return fmt.Errorf("make the folder of documents: %w", err)
	}
	if err := r.writeLicences(ctx, filepath.Join(dir, "THIRD-PARTY-LICENSES.txt"), modules, found, goVersion); err != nil {
		return err
	}
	var text bytes.Buffer
	if err := cdx.NewBOMEncoder(&text, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(r.bom(p, goVersion, inside, modules, found), cdx.SpecVersion1_6); err != nil {
		return fmt.Errorf("write the SBOM: %w", err)
	}
	for _, path := range []string{filepath.Join(dir, "sbom.cdx.json"), filepath.Join(r.dist, fmt.Sprintf("%s_%s_%s_%s.cdx.json", program, r.version, p.os, p.arch))} {
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil { //nolint:gosec // for everybody to read
			return fmt.Errorf("write the SBOM: %w", err)
		}
	}
	return nil
}

// bom tells what is in one platform's programs.
func (r release) bom(p platform, goVersion string, inside []cdx.Component, modules []module, found map[string]licence) *cdx.BOM {
	components := []cdx.Component{
		component("std", goVersion, "pkg:golang/std@"+goVersion, []string{"BSD-3-Clause"}),
	}
	for _, m := range modules {
		c := component(m.path, m.version, "pkg:golang/"+m.path+"@"+strings.ReplaceAll(m.version, "+", "%2B"), found[m.String()].ids)
		if sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.hash, "h1:")); err == nil && len(sum) == sha256.Size {
			// go.sum's hash is over the module's files and their names, not over an archive.
			c.Properties = &[]cdx.Property{{Name: "go:h1", Value: m.hash}}
		}
		components = append(components, c)
	}
	for _, w := range web {
		components = append(components, component(w.name, w.version, "pkg:npm/"+w.name+"@"+w.version, []string{w.id}))
	}
	root := cdx.Component{
		BOMRef: "pkg:generic/" + program + "@" + strings.ReplaceAll(r.version, "+", "%2B"), Type: cdx.ComponentTypeApplication,
		Name: program, Version: r.version, Components: &inside,
		Licenses:   &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
		Properties: &[]cdx.Property{{Name: "platform", Value: p.String()}},
	}
	needs := []string{}
	for _, c := range components {
		needs = append(needs, c.BOMRef)
	}
	bom := cdx.NewBOM()
	// The same contents give the same number, where a drawn one would make every build another.
	id := sha256.Sum256([]byte(root.BOMRef + p.String() + strings.Join(needs, "\n")))
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	h := hex.EncodeToString(id[:16])
	bom.SerialNumber = fmt.Sprintf("urn:uuid:%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
	bom.Metadata = &cdx.Metadata{Timestamp: r.epoch.Format(time.RFC3339), Component: &root}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: root.BOMRef, Dependencies: &needs}}
	return bom
}

func component(name, version, purl string, ids []string) cdx.Component {
	c := cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: name, Version: version, PackageURL: purl, Licenses: &cdx.Licenses{}}
	for _, id := range ids {
		*c.Licenses = append(*c.Licenses, cdx.LicenseChoice{License: &cdx.License{ID: id}})
	}
	return c
}

// writeLicences writes every licence once, under the names of all that is under it.
func (r release) writeLicences(ctx context.Context, path string, modules []module, found map[string]licence, goVersion string) error {
	under := map[string][]string{}
	for _, m := range modules {
		for _, text := range found[m.String()].texts {
			under[text] = append(under[text], m.String())
		}
	}
	goLicence, err := readLicence(goRoot(ctx))
	if err != nil {
		return fmt.Errorf("the licence of Go itself: %w", err)
	}
	for _, text := range goLicence.texts {
		under[text] = append(under[text], "Go "+goVersion)
	}
	for _, w := range web {
		text, err := os.ReadFile(filepath.Join(r.root, filepath.FromSlash(webDir), w.licenceFile))
		if err != nil {
			return fmt.Errorf("read a licence: %w", err)
		}
		under[strings.TrimSpace(string(text))] = append(under[strings.TrimSpace(string(text))], w.name+" "+w.version)
	}
	texts := slices.SortedFunc(maps.Keys(under), func(a, b string) int {
		return strings.Compare(strings.Join(under[a], "\n")+a, strings.Join(under[b], "\n")+b)
	})
	var out strings.Builder
	fmt.Fprintf(&out, "The programs of %s contain the following, under these licences.\n", program)
	for _, text := range texts {
		fmt.Fprintf(&out, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(under[text], "\n"), text)
	}
	if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil { //nolint:gosec // for everybody to read
		return fmt.Errorf("write the licences: %w", err)
	}
	return nil
}
