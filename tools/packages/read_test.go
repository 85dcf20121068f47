package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blakesmith/ar"
	"github.com/sassoftware/go-rpmutils"
)

// The folders of the checkout and of what `make packages` has built. The tests read
// the packages that are handed out, not ones of their own.
const (
	rootDir = "../.."
	distDir = rootDir + "/dist"
)

// unpacked is one file or folder of a package.
type unpacked struct {
	name  string // without a slash at its beginning or end
	mode  int64  // the permission bits
	owner string // user:group
	dir   bool
	at    time.Time
	data  []byte
}

// packed is a package that was read back.
type packed struct {
	file    string
	members map[string]unpacked
	control map[string][]byte // of a deb: control, postinst, …
	header  *rpmutils.RpmHeader
}

// built is the one result whose name has that prefix and suffix.
func built(t *testing.T, prefix, suffix string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(distDir, prefix+"*"+suffix))
	noError(t, err)
	if len(found) != 1 {
		t.Fatalf("%d files of dist/ are %s*%s, want 1: run `make packages`", len(found), prefix, suffix)
	}
	return found[0]
}

func readDeb(t *testing.T, path string) packed {
	t.Helper()
	f, err := os.Open(path)
	noError(t, err)
	defer f.Close()
	p := packed{file: path, control: map[string][]byte{}}
	for r := ar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return p
		}
		noError(t, err)
		data, err := io.ReadAll(r)
		noError(t, err)
		switch strings.TrimSuffix(h.Name, "/") {
		case "control.tar.gz":
			for name, m := range readTarGz(t, data) {
				p.control[name] = m.data
			}
		case "data.tar.gz":
			p.members = readTarGz(t, data)
		case "debian-binary":
		default:
			t.Errorf("%s has a member %q, which dpkg does not know", path, h.Name)
		}
	}
}

func readTarGz(t *testing.T, data []byte) map[string]unpacked {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	noError(t, err)
	members := map[string]unpacked{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return members
		}
		noError(t, err)
		data, err := io.ReadAll(r)
		noError(t, err)
		name := strings.Trim(strings.TrimPrefix(h.Name, "."), "/")
		owner := h.Uname + ":" + h.Gname
		if h.Uid != 0 || h.Gid != 0 {
			owner = fmt.Sprintf("%s (%d:%d)", owner, h.Uid, h.Gid)
		}
		if _, twice := members[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		members[name] = unpacked{name, h.Mode & 0o7777, owner, h.Typeflag == tar.TypeDir, h.ModTime, data}
	}
}

func readRPM(t *testing.T, path string) packed {
	t.Helper()
	f, err := os.Open(path)
	noError(t, err)
	defer f.Close()
	r, err := rpmutils.ReadRpm(f)
	noError(t, err)
	p := packed{file: path, members: map[string]unpacked{}, header: r.Header}
	infos, err := r.Header.GetFiles()
	noError(t, err)
	for _, i := range infos {
		name := strings.Trim(i.Name(), "/")
		p.members[name] = unpacked{name, int64(i.Mode() & 0o7777), i.UserName() + ":" + i.GroupName(), i.Mode()&0o170000 == 0o040000, time.Unix(int64(i.Mtime()), 0), nil}
	}
	payload, err := r.PayloadReaderExtended()
	noError(t, err)
	for {
		i, err := payload.Next()
		if errors.Is(err, io.EOF) {
			return p
		}
		noError(t, err)
		name := strings.Trim(strings.TrimPrefix(i.Name(), "."), "/")
		m, ok := p.members[name]
		if !ok {
			t.Errorf("%s holds %s, which its header does not name", path, name)
		}
		if !m.dir {
			m.data, err = io.ReadAll(payload)
			noError(t, err)
		}
		p.members[name] = m
	}
}

func readZip(t *testing.T, path string) packed {
	t.Helper()
	z, err := zip.OpenReader(path)
	noError(t, err)
	defer z.Close()
	p := packed{file: path, members: map[string]unpacked{}}
	for _, f := range z.File {
		r, err := f.Open()
		noError(t, err)
		data, err := io.ReadAll(r)
		noError(t, err)
		name := inside(t, f.Name)
		p.members[name] = unpacked{name, int64(f.Mode().Perm()), "", f.Mode().IsDir(), f.Modified, data}
	}
	return p
}

func readArchive(t *testing.T, path string) packed {
	t.Helper()
	data, err := os.ReadFile(path)
	noError(t, err)
	p := packed{file: path, members: map[string]unpacked{}}
	for name, m := range readTarGz(t, data) {
		if !strings.Contains(path, "container") {
			name = inside(t, name)
		}
		p.members[name] = m
	}
	return p
}

// inside is a name without the one folder that everything must be in.
func inside(t *testing.T, name string) string {
	t.Helper()
	folder, rest, ok := strings.Cut(name, "/")
	if !ok || !strings.HasPrefix(folder, program+"_") {
		t.Errorf("%s is not below the archive's own folder", name)
	}
	return rest
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
