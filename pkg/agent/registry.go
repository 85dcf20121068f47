package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// RegistryName is the name of the file in which the Agent keeps how far it has
// read each log and had it acknowledged.
const RegistryName = "registry.json"

const (
	// registryVersion is what the Agent writes (7.77 to 7.85); 0 and 1 it only reads.
	registryVersion = 2
	// filePrefix begins the identifiers of files; the rest is the path as the
	// Agent's glob gave it, neither made absolute nor freed of symbolic links.
	filePrefix = "file:"
	// maxRegistry bounds what is read. The Agent has an entry for each thing it
	// tails and tailed in the last 23 hours: some hundred bytes each.
	maxRegistry = 64 << 20
	// registryReads is how often a registry that is just being written is read.
	registryReads = 3
)

// ErrRegistryUnknown says that a registry says nothing now: there is none, it
// is just being written, or it has a version that is not known. It never means
// that nothing was delivered, nor that something was.
var ErrRegistryUnknown = errors.New("nothing is known of what the Agent has delivered")

// A RegistryEntry is what is known of one file.
type RegistryEntry struct {
	// Offset is the byte up to which the file was read and acknowledged by a
	// reliable destination, or refused for good by it (400, 401, 403, 413), which
	// the Agent counts the same. Lines that processing rules exclude move it only
	// when a later line is acknowledged. Payloads in flight may be acknowledged out
	// of order, so that for a while it may be ahead of what has arrived.
	Offset int64
	// LastUpdated is when the entry was last touched: by an acknowledgement, or
	// where a tailer began or ended. The zero time where the entry has none.
	LastUpdated time.Time
	// TailingMode is "beginning", "end", …; empty before version 2.
	TailingMode string
	// IngestionTimestamp is when the Agent read the line that was acknowledged
	// last, in nanoseconds since the epoch; 0 before 7.4x.
	IngestionTimestamp int64
}

// A Registry is the Agent's memory of its file logs. What it tails besides
// files is left out.
type Registry struct {
	// Files are the entries by path. A file without an entry was never
	// acknowledged, or its entry was forgotten: those untouched for 23 hours
	// (logs_config.auditor_ttl) and not tailed are removed.
	Files map[string]RegistryEntry
	// WrittenAt is when the file was last written: the Agent does so each second
	// while it runs, changed or not, and when it stops. Zero for one that was
	// decoded from bytes.
	WrittenAt time.Time
}

// Lookup is the entry of the file at path. Where no entry has exactly that
// path, one counts whose last two names, folder and file, are path's: the Agent may see
// the folder under another path (a symbolic link, a mount of a container). That
// is for names which never come back, as the spool's. Of several
// such entries the lowest offset counts.
func (r Registry) Lookup(path string) (RegistryEntry, bool) { return r.Finder()(path) }

// Finder is Lookup for many paths: what is not there under exactly its path costs one
// look through the registry in all, not one each. It is for one goroutine.
func (r Registry) Finder() func(path string) (RegistryEntry, bool) {
	var lowest map[string]RegistryEntry
	return func(path string) (RegistryEntry, bool) {
		if e, ok := r.Files[path]; ok {
			return e, true
		}
		if lowest == nil {
			lowest = make(map[string]RegistryEntry, len(r.Files))
			for other, e := range r.Files {
				if was, ok := lowest[tail(other)]; !ok || e.Offset < was.Offset {
					lowest[tail(other)] = e
				}
			}
		}
		e, ok := lowest[tail(path)]
		return e, ok
	}
}

// tail is a path's last two names. Windows knows no case, and both separators.
func tail(path string) string {
	if runtime.GOOS == "windows" || strings.Contains(path, `:\`) {
		path = strings.ToLower(strings.ReplaceAll(path, `\`, "/"))
	}
	names := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	return strings.Join(names[max(0, len(names)-2):], "/")
}

// RegistryPath is the file of an Agent whose logs_config.run_path and run_path
// are these, each empty where it is not known.
func RegistryPath(logsRunPath, runPath string) string {
	for _, dir := range []string{logsRunPath, runPath} {
		if dir != "" {
			return filepath.Join(dir, RegistryName)
		}
	}
	return filepath.Join(RunPath(), RegistryName)
}

// ReadRegistry reads the registry at path. An error that is ErrRegistryUnknown
// means that it is not there (also fs.ErrNotExist), is being written in place,
// as on ECS Fargate, or cannot be understood; any other, that it could not be
// read at all.
func ReadRegistry(path string) (Registry, error) {
	var r Registry
	var err error
	for range registryReads {
		var raw []byte
		var written time.Time
		if raw, written, err = readStill(path); err == nil {
			if r, err = DecodeRegistry(raw); err == nil {
				r.WrittenAt = written
				return r, nil
			}
		}
		if !errors.Is(err, ErrRegistryUnknown) || errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return Registry{}, fmt.Errorf("read the Agent's registry %s: %w", path, err)
}

// readStill reads a file that does not change meanwhile: half of the old text
// and half of the new one might be valid JSON too.
func readStill(path string) (raw []byte, written time.Time, err error) {
	f, err := OpenShared(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, time.Time{}, fmt.Errorf("%w: %w", ErrRegistryUnknown, err)
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	if !before.Mode().IsRegular() {
		return nil, time.Time{}, errors.New("it is not a regular file")
	}
	if before.Size() > maxRegistry {
		return nil, time.Time{}, fmt.Errorf("%w: it is %d bytes long", ErrRegistryUnknown, before.Size())
	}
	raw, err = io.ReadAll(io.LimitReader(f, maxRegistry+1))
	if err != nil {
		return nil, time.Time{}, err
	}
	after, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	if int64(len(raw)) != before.Size() || after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return nil, time.Time{}, fmt.Errorf("%w: it is being written", ErrRegistryUnknown)
	}
	return raw, before.ModTime(), nil
}

// registryFile is the JSON of all versions: 0 had Path and Timestamp (a time),
// 1 LastUpdated and Timestamp (a text, of containers), both Offset as a number;
// 2 has Offset as text. Fields that are not known are ignored.
type registryFile struct {
	Version  *int                       `json:"Version"`
	Registry map[string]json.RawMessage `json:"Registry"`
}

type registryValue struct {
	LastUpdated        json.RawMessage `json:"LastUpdated,omitempty"`
	Timestamp          json.RawMessage `json:"Timestamp,omitempty"`
	Offset             json.RawMessage `json:"Offset"`
	TailingMode        json.RawMessage `json:"TailingMode,omitempty"`
	IngestionTimestamp json.RawMessage `json:"IngestionTimestamp,omitempty"`
}

// DecodeRegistry understands the text of a registry of version 0, 1 or 2
// (source: the Agent's auditor). An entry that is no file's, or whose offset is no
// decimal number, is left out, whatever else is wrong with it; a text that is not whole, or has
// another version, is ErrRegistryUnknown.
func DecodeRegistry(raw []byte) (Registry, error) {
	var file registryFile
	if err := json.Unmarshal(raw, &file); err != nil {
		return Registry{}, fmt.Errorf("%w: it is cut short, or no registry", ErrRegistryUnknown)
	}
	if file.Version == nil || *file.Version < 0 || *file.Version > registryVersion {
		return Registry{}, fmt.Errorf("%w: it has a version that is not known", ErrRegistryUnknown)
	}
	r := Registry{Files: map[string]RegistryEntry{}}
	for id, raw := range file.Registry {
		var v registryValue
		if err := json.Unmarshal(raw, &v); err != nil {
			continue
		}
		path, isFile := strings.CutPrefix(id, filePrefix)
		if *file.Version == 0 {
			path, isFile = id, true // paths stood there by themselves
		}
		offset, ok := decimal(v.Offset)
		if !isFile || path == "" || !ok {
			continue
		}
		e := RegistryEntry{Offset: offset}
		updated := v.LastUpdated
		if *file.Version == 0 {
			updated = v.Timestamp
		}
		// What cannot be read of these is left at its zero: only the offset decides.
		_ = json.Unmarshal(updated, &e.LastUpdated)
		_ = json.Unmarshal(v.TailingMode, &e.TailingMode)
		_ = json.Unmarshal(v.IngestionTimestamp, &e.IngestionTimestamp)
		r.Files[path] = e
	}
	return r, nil
}

// decimal is a number of bytes, as a JSON number or a text.
func decimal(raw json.RawMessage) (int64, bool) {
	n, err := strconv.ParseInt(string(bytes.Trim(raw, `"`)), 10, 64)
	return n, err == nil && n >= 0
}

// Encode is the registry as the Agent writes it, version 2. It is for a registry of
// our own: the Agent's is the Agent's alone.
func (r Registry) Encode() ([]byte, error) {
	type value struct {
		LastUpdated        time.Time
		Offset             string
		TailingMode        string
		IngestionTimestamp int64
	}
	file := struct {
		Version  int
		Registry map[string]value
	}{registryVersion, make(map[string]value, len(r.Files))}
	for path, e := range r.Files {
		file.Registry[filePrefix+path] = value{e.LastUpdated.UTC(), strconv.FormatInt(e.Offset, 10), e.TailingMode, e.IngestionTimestamp}
	}
	raw, err := json.Marshal(file)
	if err != nil {
		return nil, fmt.Errorf("encode the registry: %w", err)
	}
	return raw, nil
}

// WriteRegistry puts r in the place of the registry of our own at path: whole or
// not at all, and durable when it returns. Its mode is 0600.
func WriteRegistry(path string, r Registry) error {
	raw, err := r.Encode()
	if err != nil {
		return err
	}
	temp := path + ".tmp"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write the registry: %w", err)
	}
	_, err = f.Write(raw)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the registry %s: %w", path, err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("write the registry: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}
