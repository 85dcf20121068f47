package check

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
)

// spool tells how full the spool is, with the files of all sites.
func (d *diagnosis) spool() {
	step := Step{Name: "spool"}
	var bytes int64
	files := 0
	paths, err := filepath.Glob(filepath.Join(agent.Base(d.runPath()), "spool", "*", "*.jsonl"))
	if err != nil {
		d.fail(step, CodeMachine, fmt.Sprintf("the spool cannot be listed: %v", err), "set run_path to a path without *, ? and [")
		return
	}
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			bytes += info.Size()
			files++
		}
	}
	most := d.instances[0].Config.SpoolMaxSize
	text := fmt.Sprintf("%d files with %d bytes, of %s at most", files, bytes, sized(most))
	if bytes >= most && d.held(bytes) >= most {
		d.fail(step, CodeSpoolFull, text+": collection is paused", "")
		return
	}
	least := d.instances[0].Config.SpoolMinFree
	free, err := d.o.withDefaults().FreeSpace(agent.Base(d.runPath()))
	if err == nil && free < least { // where it cannot be asked, there is no folder yet
		d.fail(step, CodeDiskFull, fmt.Sprintf("%d bytes are free on the disk, and spool_min_free is %s: collection is paused", free, sized(least)), "")
		return
	}
	d.pass(step, "%s", text)
}

// oversize tells what the records take that were too long for a log line: nothing
// but the room on the disk bounds them.
func (d *diagnosis) oversize() {
	step := Step{Name: "oversize"}
	dir := agent.OversizeDir(agent.Base(d.runPath()))
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.skip(step, "%v", err) // that it cannot be listed, folders tells
		return
	}
	var bytes int64
	files := 0
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), ".json") {
			bytes += info.Size()
			files++
		}
	}
	if files == 0 {
		d.pass(step, "no record was too long for a log line")
		return
	}
	step.Next = "remove what nobody needs: nothing else does, and it does not count for spool_max_size"
	d.pass(step, "records that are too long for a log line, and were sent reduced, are kept whole in %s: %d, with %d bytes", dir, files, bytes)
}

// held is what of the spool is not delivered, as a run counts it; all, where
// that is not known.
func (d *diagnosis) held(all int64) int64 {
	c := d.instances[0].Config
	places, err := foldersOf(d.runPath(), c.Name()).places()
	if err != nil {
		return all
	}
	known := openRegistry(d.registryPath(), AgentInfo{})
	var held int64
	for _, p := range places {
		n, err := p.Held(spool.OS{}, known.offsets)
		if err != nil {
			return all
		}
		held += n
	}
	return held
}

// registryPath is where the Agent's registry is, as its settings have it.
func (d *diagnosis) registryPath() string {
	return agent.RegistryPath(d.o.Settings.LogsRunPath, firstOf(d.o.Settings.RunPath, d.runPath()))
}

// unreadFor is how long a file may lie in the spool unread before that is a
// failure.
const unreadFor = time.Hour

// registry tells whether the Agent reads the spool, by its registry.
func (d *diagnosis) registry() {
	step := Step{Name: "registry"}
	path := d.registryPath()
	var files []string
	for _, dir := range d.spoolDirs() {
		found, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
		if err == nil {
			files = append(files, found...)
		}
	}
	r, err := agent.ReadRegistry(path)
	who, start := "the Agent", "sudo systemctl start datadog-agent"
	// Where no Agent runs, the command run sends, and keeps a registry of its own.
	own := filepath.Join(agent.Base(d.runPath()), "run", agent.RegistryName)
	if ofRun, ownErr := agent.ReadRegistry(own); ownErr == nil && (err != nil || ofRun.WrittenAt.After(r.WrittenAt)) {
		r, err, path = ofRun, nil, own
		who, start = "`run`", agentName+" run"
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && len(files) == 0:
		d.skip(step, "%s does not exist, and nothing is in the spool", path)
		return
	case errors.Is(err, fs.ErrNotExist):
		d.fail(step, CodeUndelivered, fmt.Sprintf("%s does not exist, so that the Agent has never read any of the %d files of the spool", path, len(files)), "")
		return
	case errors.Is(err, agent.ErrRegistryUnknown):
		d.warn(step, CodeUndelivered, err.Error(), "run this again in a minute")
		return
	case err != nil:
		d.fail(step, CodeUndelivered, err.Error(), "run this as root or as the Agent's user")
		return
	}
	now := d.o.Now()
	var behind int64
	known, old := 0, 0
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			continue // moved away while we looked
		}
		e, ok := r.Lookup(f)
		if ok {
			known++
		}
		if left := info.Size() - e.Offset; left > 0 {
			behind += left
			if now.Sub(info.ModTime()) > unreadFor {
				old++
			}
		}
	}
	silent := now.Sub(r.WrittenAt)
	switch {
	case len(files) > 0 && known == 0 && old > 0:
		d.fail(step, CodeUndelivered, fmt.Sprintf("%s knows none of the %d files of the spool", path, len(files)), "")
	case old > 0:
		d.fail(step, CodeUndelivered, fmt.Sprintf("%d bytes in the spool are not delivered, some of them since over an hour", behind), "")
	case silent > 5*time.Minute:
		d.fail(step, CodeUndelivered, fmt.Sprintf("%s has not written %s for %s, and the Agent does so each second while it runs", who, path, silent.Round(time.Minute)), "start it: "+start)
	default:
		d.pass(step, who+" knows %d of the %d files of the spool; %d bytes are not delivered yet", known, len(files), behind)
	}
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// state tells what is remembered of a product, and what its last runs said.
func (d *diagnosis) state(c *Config, p audit.Product) {
	step := Step{Name: "state", Instance: c.Name(), Product: p}
	now := d.o.Now()
	f := foldersOf(c.RunPath, c.Name())
	s, _, err := productStatus(c, f, p, now)
	if err != nil {
		d.fail(step, CodeOf(err), oneLine(err), "")
		return
	}
	if s.Source == "none" && s.LastRun == nil {
		d.warn(step, CodeNotRunning, "the check has not run yet", "")
		return
	}
	for _, act := range s.Act {
		code := CodeNotRunning
		if m := endingCode().FindStringSubmatch(act); m != nil {
			code = m[1]
			act = strings.TrimSuffix(act, m[0])
		}
		text, next, _ := strings.Cut(act, ": ")
		if code == CodeState {
			text, next = act, ""
		}
		if ofAtlassian(code) {
			// The steps before have asked Atlassian anew, and know better.
			d.warn(step, code, "the last run said: "+text, "see the step above that is about it; where that is well, the next run will be too")
			continue
		}
		d.fail(step, code, text, next)
	}
	if len(s.Act) > 0 {
		return
	}
	text := "nothing was read up to the present yet"
	if s.LagSeconds != nil {
		text = fmt.Sprintf("read up to the present %s ago", (time.Duration(*s.LagSeconds) * time.Second).String())
	}
	if n := len(s.Gaps); n > 0 {
		text += fmt.Sprintf(", %d spans of older records are still to be read", n)
	}
	if s.Note != "" {
		text += " (" + s.Note + ")"
	}
	d.pass(step, "%s", text)
}

// ofAtlassian reports a code of which the steps that ask Atlassian tell.
func ofAtlassian(code string) bool { return !slices.Contains(localCodes, code) }

// localCodes are those of failures on this machine, and of what only runs find
// out.
var localCodes = []string{CodeConfig, CodeDiskFull, CodeSpoolFull, CodeState, CodeStuckRun, CodeMachine, CodeProgram, CodeLogsDisabled, CodeLogsEntry, CodeOpenFiles,
	CodeAgentTooOld, CodeAgentFiles, CodeUndelivered, CodeNotRunning, CodeWithheld}

// endingCode is the code at the end of a message.
var endingCode = onDemand(` \((\w+)\)$`)
