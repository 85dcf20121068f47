package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// item is an entry with its bytes at hand.
type item struct {
	name string // with slashes
	path string // where the bytes are
	mode fs.FileMode
}

// archiver writes items, in their order, all of one time.
type archiver func(w io.Writer, items []item, at time.Time) error

// archive writes the archive of one platform. All of it is below one folder, so
// that unpacking it anywhere does no harm.
func (r release) archive(p platform, layout []entry, write archiver, suffix string) error {
	folder := fmt.Sprintf("%s_%s_%s_%s", program, r.version, p.os, p.arch)
	items, err := r.items(p, layout, folder+"/")
	if err != nil {
		return err
	}
	return r.write(folder+suffix, func(f *os.File) error { return write(f, items, r.epoch) })
}

// containerContext writes the build context of the image, for `docker build - <`.
func (r release) containerContext() error {
	items, err := r.items(platform{}, containerCommon(), "")
	if err != nil {
		return err
	}
	for _, p := range platforms {
		if p.os != "linux" {
			continue
		}
		more, err := r.items(p, containerLayout(p), "")
		if err != nil {
			return err
		}
		items = append(items, more...)
	}
	sortItems(items)
	return r.write(fmt.Sprintf("%s_%s_container.tar.gz", program, r.version), func(f *os.File) error { return writeTar(f, items, r.epoch) })
}

func (r release) items(p platform, layout []entry, prefix string) ([]item, error) {
	var items []item
	for _, e := range layout {
		base := map[origin]string{checkout: r.root, programsOf: r.programs(p), documentsOf: r.documents(p)}[e.from]
		path := filepath.Join(base, filepath.FromSlash(e.src))
		if !exists(path) {
			if e.optional {
				continue
			}
			return nil, fmt.Errorf("%s is missing", path)
		}
		items = append(items, item{prefix + e.dst, path, e.mode})
	}
	sortItems(items)
	return items, nil
}

func sortItems(items []item) {
	slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.name, b.name) })
}

func writeTar(w io.Writer, items []item, at time.Time) error {
	packed := gzip.NewWriter(w)
	out := tar.NewWriter(packed)
	for _, i := range items {
		info, err := os.Stat(i.path)
		if err != nil {
			return fmt.Errorf("look at a file: %w", err)
		}
		header := &tar.Header{Name: i.name, Mode: int64(i.mode), Size: info.Size(), ModTime: at, Typeflag: tar.TypeReg, Uname: "root", Gname: "root", Format: tar.FormatUSTAR}
		if err := out.WriteHeader(header); err != nil {
			return fmt.Errorf("begin %s: %w", i.name, err)
		}
		if err := copyFile(out, i.path); err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("end the archive: %w", err)
	}
	return packed.Close()
}

func writeZip(w io.Writer, items []item, at time.Time) error {
	out := zip.NewWriter(w)
	for _, i := range items {
		header := &zip.FileHeader{Name: i.name, Method: zip.Deflate, Modified: at}
		header.SetMode(i.mode)
		f, err := out.CreateHeader(header)
		if err != nil {
			return fmt.Errorf("begin %s: %w", i.name, err)
		}
		if err := copyFile(f, i.path); err != nil {
			return err
		}
	}
	return out.Close()
}

func copyFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read a file: %w", err)
	}
	defer f.Close()
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("copy %s: %w", path, err)
	}
	return nil
}
