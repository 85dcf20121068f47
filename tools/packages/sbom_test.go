package main

import (
	"bytes"
	"debug/buildinfo"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
)

// sbomIsTrue compares the SBOM and the licences in a package with what
// the linker noted in the programs beside them.
func sbomIsTrue(t *testing.T, all map[string]packed) {
	for name, p := range all {
		if !strings.HasPrefix(name, "deb") && !strings.HasPrefix(name, "windows") && !strings.HasPrefix(name, "darwin") {
			continue
		}
		at := func(base string) []byte {
			for path, m := range p.members {
				if m.dir {
					continue
				}
				if path == base || strings.HasSuffix(path, "/"+base) && !strings.Contains(path, "lintian") {
					return m.data
				}
			}
			t.Fatalf("%s has no %s", name, base)
			return nil
		}
		var bom cdx.BOM
		noError(t, cdx.NewBOMDecoder(bytes.NewReader(at("sbom.cdx.json")), cdx.BOMFileFormatJSON).Decode(&bom))
		var got []string
		for _, c := range *bom.Components {
			if strings.HasPrefix(c.PackageURL, "pkg:golang/") && c.Name != "std" {
				got = append(got, c.Name+"@"+c.Version)
			}
			if len(*c.Licenses) == 0 {
				t.Errorf("%s: %s has no licence", name, c.Name)
			}
		}
		var want []string
		exe := ""
		if strings.HasPrefix(name, "windows") {
			exe = ".exe"
		}
		for _, part := range parts {
			info, err := buildinfo.Read(bytes.NewReader(at(part.name + exe)))
			noError(t, err)
			for _, d := range info.Deps {
				if d.Path != "atlassian_audit_records" {
					want = append(want, d.Path+"@"+d.Version)
				}
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(slices.Compact(want), got); diff != "" {
			t.Errorf("%s: modules (-linked +SBOM):\n%s", name, diff)
		}
		if bom.Metadata.Component.Version != version(t) || len(*bom.Metadata.Component.Components) != len(parts) {
			t.Errorf("%s: the SBOM is of %+v", name, bom.Metadata.Component)
		}
		texts := string(at("THIRD-PARTY-LICENSES.txt"))
		for _, m := range append(got, "Go 1.", "uplot 1.6.32", "world-atlas 2.0.2") {
			if !strings.Contains(texts, "\n"+m) {
				t.Errorf("%s: THIRD-PARTY-LICENSES.txt does not name %s", name, m)
			}
		}
	}
}

func TestLicencesAreKnownByTheirWords(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		text string
		want []string
	}{
		{"                Apache License\n   Version 2.0, January 2004", []string{"Apache-2.0"}},
		{"Permission is hereby granted, free of charge,\nto any person obtaining a copy", []string{"MIT"}},
		{"Redistributions of source code must retain … Redistributions in binary form must reproduce … endorse or promote products", []string{"BSD-3-Clause"}},
		{"Redistributions of source code must retain … Redistributions in binary form must reproduce", []string{"BSD-2-Clause"}},
		{"Permission to use, copy, modify, and distribute this software for any\npurpose with or without fee is hereby granted", []string{"ISC"}},
		{"GNU GENERAL PUBLIC LICENSE Version 3", nil},
		{"all rights reserved", nil},
	} {
		if diff := cmp.Diff(row.want, identify(row.text)); diff != "" {
			t.Errorf("%.40q (-want +got):\n%s", row.text, diff)
		}
	}
	if _, err := readLicence(t.TempDir()); err == nil {
		t.Error("a module without a licence is no error")
	}
}
