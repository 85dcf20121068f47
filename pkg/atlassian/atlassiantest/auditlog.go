package atlassiantest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// auditLog are the audit log files of a Data Center node: every record that its
// product stores goes there too, as one line, in the order of storing.
type auditLog struct {
	dir    string
	max    int64 // bytes after which a new file is begun
	now    func() time.Time
	day    string
	number int
	size   int64
	failed error
}

// LogTo lets a Data Center's product write all records that it stores from now
// on to files in dir too, as a node does in log/audit: a new file at midnight and
// when one holds size bytes, called like 20260101.00000.audit.log; 0 is 100 MB, as
// by default. Purging and renaming change nothing in them.
func (s *Server) LogTo(product, dir string, size int64) {
	if size <= 0 {
		size = 100 << 20
	}
	st := s.store(product)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.log = &auditLog{dir: dir, max: size, now: s.o.Now}
}

// LogDir is where LogTo said that the files go.
func (s *Server) LogDir(product string) string {
	st := s.store(product)
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.log.dir
}

// LogError is the first error that writing the files met.
func (s *Server) LogError(product string) error {
	st := s.store(product)
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.log.failed
}

// write appends a record to the files. The store's lock is held by the caller.
func (l *auditLog) write(st *store, seq uint32) {
	if l == nil || l.failed != nil {
		return
	}
	day := l.now().UTC().Format("20060102")
	switch {
	case day != l.day:
		l.day, l.number, l.size = day, 0, 0
	case l.size >= l.max:
		l.number, l.size = l.number+1, 0
	}
	line := append(LogLine(st.appendRecord(nil, seq)), '\n')
	path := filepath.Join(l.dir, fmt.Sprintf("%s.%05d.audit.log", l.day, l.number))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err == nil {
		_, err = f.Write(line)
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}
	l.size += int64(len(line))
	l.failed = err
}

// LogLine is an entity as it stands in the audit log files: dated in seconds and
// nanoseconds, with the type under another name and with an area and a level,
// without the addresses of pages, and with its fields in alphabetical order.
// What is no object stays as it is.
func LogLine(entity []byte) []byte {
	n, ok := parse(entity)
	if !ok || n.kind != '{' {
		return bytes.ReplaceAll(entity, []byte("\n"), []byte(" "))
	}
	fields := []field{{"version", `"1.0"`}}
	for _, k := range n.kids {
		raw := string(entity[k.start:k.end])
		switch k.key {
		case "timestamp":
			if at, err := time.Parse(time.RFC3339, k.string(entity)); err == nil {
				raw = fmt.Sprintf(`{"epochSecond":%d,"nano":%d}`, at.Unix(), at.Nanosecond())
			}
		case "type":
			kind := []field{{"area", `"GLOBAL_CONFIG_AND_ADMINISTRATION"`}, {"level", `"BASE"`}}
			fields = append(fields, field{"auditType", sorted(append(kind, kept(entity, k)...))})
			continue
		case "author":
			if a := kept(entity, k, "uri", "avatarUri", "type"); k.kind == '{' {
				raw = sorted(append(a, field{"type", `"user"`}))
			}
		case "affectedObjects":
			if k.kind == '[' {
				var objects []string
				for _, o := range k.kids {
					objects = append(objects, sorted(kept(entity, o, "uri")))
				}
				raw = array(objects...)
			}
		case "extraAttributes", "changedValues":
			if k.kind == '[' {
				var members []string
				for _, o := range slices.Backward(k.kids) { // in no order that is promised
					members = append(members, sorted(kept(entity, o)))
				}
				raw = array(members...)
			}
		}
		fields = append(fields, field{k.key, raw})
	}
	return []byte(sorted(fields))
}

// kept are the members of an object but for some, their texts escaped anew.
func kept(t []byte, n node, without ...string) []field {
	var out []field
	for _, k := range n.kids {
		if slices.Contains(without, k.key) {
			continue
		}
		raw := string(t[k.start:k.end])
		if k.kind == '"' {
			raw = quote(unquote(t[k.start:k.end]))
		}
		out = append(out, field{k.key, raw})
	}
	return out
}

func sorted(fields []field) string {
	slices.SortStableFunc(fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(object(fields...))); err != nil {
		return object(fields...)
	}
	return b.String()
}

func (n node) string(t []byte) string {
	if n.kind != '"' {
		return ""
	}
	return unquote(t[n.start:n.end])
}
