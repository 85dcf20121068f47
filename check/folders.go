package check

import (
	"crypto/sha256"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/state"
)

// folders are the places of one site below the run path:
//
//	<base>/state/<host>/<product>.db        the state; a context path is part of <host>
//	<base>/state/<host>/<product>.copy.db   its copy
//	<base>/state/<host>/<product>.last      how the last run ended
//	<base>/state/<host>/<product>.delivery.json  what is remembered of its files
//	<base>/collected/<host>.<product>.json  the marker: collection began
//	<base>/spool/<source>/*.jsonl           the spool, shared by all sites
//	<base>/spool/<source>/<host>.<product>.staged  what the Agent is not to read yet
//	<base>/late/, <base>/delivered/         what was taken out of it
//	<base>/oversize/, <base>/tokens.json    shared by all sites
//
// An organisation has its id in the place of a host. The marker stands away from the state, so that it outlives it.
type folders struct {
	runPath, base string
	host          string // safe in a path
}

func foldersOf(runPath, name string) folders {
	return folders{runPath: runPath, base: agent.Base(runPath), host: folderName(name)}
}

// folderName is the name of a site, its host and context path, as that of a
// file. The path follows behind a '_', with the beginning of its SHA-256, since
// different ones may look alike in a file's name.
func folderName(name string) string {
	host, path, below := strings.Cut(name, "/")
	if !below {
		return safeHost(host)
	}
	sum := sha256.Sum256([]byte("/" + path))
	return fmt.Sprintf("%s_%s-%x", safeHost(host), safeHost(path), sum[:4])
}

// safeHost is a host as the name of a file: what a port or an IPv6 address
// brings along becomes '_', which no host holds.
func safeHost(host string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '-':
			return r
		}
		return '_'
	}, strings.ToLower(host))
}

func (f folders) stateDir() string { return filepath.Join(agent.StateDir(f.base), f.host) }

// state are the files of a product's state.
func (f folders) state(p audit.Product) state.Files {
	return state.Files{
		State:  filepath.Join(f.stateDir(), string(p)+".db"),
		Copy:   filepath.Join(f.stateDir(), string(p)+".copy.db"),
		Marker: filepath.Join(f.base, "collected", f.host+"."+string(p)+".json"),
	}
}

// lastRun is where a run leaves behind how it ended for a product.
func (f folders) lastRun(p audit.Product) string {
	return filepath.Join(f.stateDir(), string(p)+".last")
}

// secure makes the folders, or makes sure that those that are there are ours
// alone and on a disk of this machine.
func (f folders) secure() error {
	for _, dir := range []string{f.base, f.stateDir(), filepath.Join(f.base, "collected"), filepath.Join(f.base, "spool")} {
		if err := agent.SecureDir(f.runPath, dir); err != nil {
			return err
		}
	}
	return agent.LocalFilesystem(f.stateDir())
}

// spool opens the folder of a product's log lines. Where stage is false, large
// batches are not staged either.
func (f folders) spool(p audit.Product, o Options, stage bool) (*spool.Dir, error) {
	from := 0 // as usual
	if !stage {
		from = math.MaxInt
	}
	return spool.Open(spool.OS{}, agent.SpoolDir(f.base, p.LogSource()), spool.Options{
		Now: o.Now, Oversize: agent.OversizeDir(f.base), Staged: f.host + "." + string(p), StageFrom: from,
	})
}
