package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

// The native adapter, where it was built for the platform. 0500 and the property
// of the Agent's user (packaging/scripts/postinstall.sh) is what the permission
// check of every Agent release accepts.
const (
	nativeAdapter = "libdatadog-agent-atlassian_audit_records"
	nativeMode    = 0o500
)

// linuxPackage writes one deb or rpm after packaging/nfpm.yaml.
func (r release) linuxPackage(p platform, format string) error {
	variables := map[string]string{
		"ARCH": p.arch, "VERSION": r.version, "PROGRAMS": r.programs(p), "DOCUMENTS": r.documents(p),
	}
	config, err := nfpm.ParseFileWithEnvMapping(filepath.Join(r.root, "packaging", "nfpm.yaml"), func(name string) string { return variables[name] })
	if err != nil {
		return fmt.Errorf("read packaging/nfpm.yaml: %w", err)
	}
	info, err := config.Get(format)
	if err != nil {
		return fmt.Errorf("read packaging/nfpm.yaml for %s: %w", format, err)
	}
	if library := filepath.Join(r.programs(p), nativeAdapter+".so"); exists(library) {
		info.Contents = append(info.Contents, &files.Content{
			Source: library, Destination: "/etc/datadog-agent/checks.d/" + nativeAdapter + ".so",
			FileInfo: &files.ContentFileInfo{Mode: nativeMode, Owner: "root", Group: "root"},
		})
	}
	r.place(info)
	info = nfpm.WithDefaults(info)
	packager, err := nfpm.Get(format)
	if err != nil {
		return fmt.Errorf("find the packager: %w", err)
	}
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return fmt.Errorf("prepare the %s of %s: %w", format, p, err)
	}
	return r.write(packager.ConventionalFileName(info), func(f *os.File) error { return packager.Package(info, f) })
}

// place makes paths absolute and every file's time the release's.
func (r release) place(info *nfpm.Info) {
	info.MTime = r.epoch
	for _, c := range info.Contents {
		if c.Source != "" && !filepath.IsAbs(c.Source) {
			c.Source = filepath.Join(r.root, c.Source)
		}
		if c.FileInfo == nil {
			c.FileInfo = &files.ContentFileInfo{}
		}
		c.FileInfo.MTime = r.epoch
	}
	for _, script := range []*string{&info.Scripts.PostInstall, &info.Scripts.PreRemove, &info.Scripts.PostRemove} {
		*script = filepath.Join(r.root, *script)
	}
}

// write makes one file of the results, whole or not at all.
func (r release) write(name string, fill func(*os.File) error) (err error) {
	f, err := os.Create(filepath.Join(r.dist, name))
	if err != nil {
		return fmt.Errorf("write a result: %w", err)
	}
	defer func() {
		if closed := f.Close(); err == nil && closed != nil {
			err = fmt.Errorf("write %s: %w", name, closed)
		}
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err := fill(f); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
