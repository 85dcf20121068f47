package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/audit"
)

// agent looks at what the Agent needs to run the check and to send its logs.
func (d *diagnosis) agent(ctx context.Context) {
	if d.settings() {
		d.logsEnabled()
	} else {
		d.skip(Step{Name: "logs_enabled"}, "the Agent's settings could not be read")
	}
	d.logsEntries()
	d.agentVersion()
	d.folders()
	d.adapter(ctx)
}

// settings reports whether the Agent's settings are known.
func (d *diagnosis) settings() bool {
	step := Step{Name: "agent_settings"}
	switch err := d.o.SettingsErr; {
	case err == nil:
		d.pass(step, "%s was read", d.o.DatadogConf)
	case !errors.Is(err, fs.ErrNotExist):
		d.fail(step, CodeAgentFiles, err.Error(), "run this as root")
		return false
	case d.o.Settings.LogsEnabled != nil:
		d.pass(step, "there is no %s, so those of the environment (DD_…) count", d.o.DatadogConf)
	case d.o.DatadogGiven:
		d.fail(step, CodeAgentFiles, d.o.DatadogConf+" does not exist", "correct --datadog-conf")
		return false
	default:
		d.warn(step, CodeAgentFiles, d.o.DatadogConf+" does not exist: no Agent is installed here the usual way",
			"give the Agent's file with --datadog-conf; in a container, run this inside of the Agent's")
		return false
	}
	return true
}

func (d *diagnosis) logsEnabled() {
	step := Step{Name: "logs_enabled"}
	if on := d.o.Settings.LogsEnabled; on != nil && *on {
		d.pass(step, "true")
		return
	}
	d.fail(step, CodeLogsDisabled, fmt.Sprintf("logs_enabled is not true in %s, nor DD_LOGS_ENABLED here, so that audit records are spooled, but not sent", d.o.DatadogConf), "")
}

// logsEntries tells whether the entries of `logs:` follow the spool.
func (d *diagnosis) logsEntries() {
	step := Step{Name: "logs"}
	if d.file == nil {
		d.skip(step, "the configuration is not valid")
		return
	}
	found := false
	for _, w := range d.file.Warnings {
		if ofLogs(w) {
			d.fail(step, CodeLogsEntry, w.String(), "")
			found = true
		}
	}
	if !found {
		d.pass(step, "the entries of `logs:` follow the spool's folders")
	}
}

func (d *diagnosis) agentVersion() {
	step := Step{Name: "agent_version"}
	version := agent.Version(filepath.Dir(d.runPath()))
	switch {
	case version == "":
		d.skip(step, "no version-manifest tells which Agent is installed; it must be 7.77 or later")
	case tooOld(version):
		d.fail(step, CodeAgentTooOld, "the Agent is "+version+", and refuses `start_position: beginning` on a wildcard, so that no audit records are sent", "")
	default:
		d.pass(step, "the Agent is %s", version)
	}
}

// owner is the user that the Agent runs as, as far as this machine tells.
func (d *diagnosis) owner() (agent.User, bool) {
	if d.o.User != "" {
		if u, ok := agent.LookupUser(d.o.User); ok {
			return u, true
		}
	}
	return agent.OwnerOf(d.runPath())
}

// folders looks at the run path and what is below it.
func (d *diagnosis) folders() {
	run := Step{Name: "run_path"}
	info, err := os.Stat(d.runPath())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.fail(run, CodeAgentFiles, "the run path "+d.runPath()+" does not exist", "give the Agent's with --run-path, or set run_path in init_config; the Agent makes its own when it starts")
	case err != nil:
		d.fail(run, CodeAgentFiles, fmt.Sprintf("the run path cannot be looked at: %v", err), "run this as root or as the Agent's user")
	case !info.IsDir():
		d.fail(run, CodeAgentFiles, "the run path "+d.runPath()+" is not a folder", "set run_path to the Agent's")
	}
	if last := d.steps[len(d.steps)-1]; last.Name == "run_path" {
		d.skip(Step{Name: "folders"}, "there is no run path")
		d.skip(Step{Name: "spool_readable"}, "there is no run path")
		return
	}
	user, known := d.owner()
	owner, _ := agent.OwnerOf(d.runPath())
	switch {
	case known && owner.UID != user.UID:
		d.fail(run, CodeAgentFiles, fmt.Sprintf("the run path %s belongs to %s, and the Agent runs as %s", d.runPath(), owner.Name, user.Name),
			fmt.Sprintf("chown %s %s, or name the Agent's user with --agent-user", user.Name, d.runPath()))
	case known && agent.Me().UID != owner.UID:
		d.warn(run, CodeAgentFiles, fmt.Sprintf("the run path %s belongs to %s, and this command runs as %s, who may not see all of it", d.runPath(), owner.Name, agent.Me().Name),
			fmt.Sprintf("run it as root, or with sudo -u %s", owner.Name))
	default:
		d.pass(run, "%s%s", d.runPath(), ofWhom(owner))
	}
	d.ownFolders()
	d.spoolReadable(user)
}

func ofWhom(u agent.User) string {
	if u.Name == "" {
		return ""
	}
	return ", of " + u.Name
}

// ownFolders looks at the check's own folders.
func (d *diagnosis) ownFolders() {
	step := Step{Name: "folders"}
	base := agent.Base(d.runPath())
	dirs := []string{base, agent.StateDir(base), filepath.Join(base, "collected"), filepath.Join(base, "spool"), agent.OversizeDir(base)}
	for _, in := range d.instances {
		f := foldersOf(d.runPath(), in.Config.Host())
		dirs = append(dirs, f.stateDir())
		for _, p := range in.Config.Products {
			dirs = append(dirs, agent.SpoolDir(base, p.LogSource()))
		}
	}
	there, bad := 0, false
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		err := agent.InspectDir(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			d.fail(step, CodeMachine, err.Error(), "do what the message says: the check refuses the folder as it is")
			bad = true
		default:
			there++
		}
	}
	if there > 0 && !bad {
		if err := agent.LocalFilesystem(base); err != nil {
			d.fail(step, CodeMachine, err.Error(), "")
			return
		}
	}
	switch {
	case bad:
	case there == 0:
		d.pass(step, "%s does not exist yet: the first run makes it", base)
	default:
		d.pass(step, "%s and the folders in it belong to this user, and nobody else may write to them", base)
	}
}

// spoolReadable tells whether the Agent's user can read what is to be sent.
func (d *diagnosis) spoolReadable(u agent.User) {
	step := Step{Name: "spool_readable"}
	if u.Name == "" {
		d.skip(step, "on this platform, rights are inherited from the run path")
		return
	}
	files := 0
	for _, dir := range d.spoolDirs() {
		entries, err := os.ReadDir(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			d.fail(step, CodeAgentFiles, fmt.Sprintf("%s cannot be listed: %v", dir, errors.Unwrap(err)), "run this as root or as the Agent's user")
			return
		}
		paths := []string{dir}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".jsonl") {
				paths = append(paths, filepath.Join(dir, e.Name()))
				files++
			}
		}
		for _, path := range paths {
			if err := agent.CanRead(u, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				d.fail(step, CodeAgentFiles, "the Agent cannot read the spool: "+err.Error(), fmt.Sprintf("chown -R %s %s", u.Name, agent.Base(d.runPath())))
				return
			}
		}
	}
	if files == 0 {
		d.pass(step, "nothing is spooled yet")
		return
	}
	d.pass(step, "%s can read the %d files of the spool", u.Name, files)
}

// spoolDirs are the folders of the log sources that the instances write to.
func (d *diagnosis) spoolDirs() []string {
	var dirs []string
	for _, in := range d.instances {
		for _, p := range in.Config.Products {
			if dir := agent.SpoolDir(agent.Base(d.runPath()), p.LogSource()); !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

// protocolForm is how the adapter names the protocol that it speaks.
var protocolForm = regexp.MustCompile(`'protocol':\s*(\d+)`)

// adapter looks at the adapter, and at the program that it would start.
func (d *diagnosis) adapter(ctx context.Context) {
	step, program := Step{Name: "adapter"}, Step{Name: "program"}
	path := filepath.Join(filepath.Dir(d.o.DatadogConf), "checks.d", agent.CheckName+".py")
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.fail(step, CodeAgentFiles, path+" does not exist, so that the Agent does not know the check",
			"install the adapter there: adapters/python/"+agent.CheckName+".py of this project")
	case err != nil:
		d.fail(step, CodeAgentFiles, fmt.Sprintf("the adapter %s cannot be read (%v)", path, errors.Unwrap(err)), "make it readable for the Agent's user: chmod 0644 "+path)
	default:
		protocol := protocolForm.FindSubmatch(text)
		switch {
		case protocol == nil:
			d.fail(step, CodeAgentFiles, path+" is not the adapter of this program", "install the adapter of the same release")
		case string(protocol[1]) != strconv.Itoa(ProtocolVersion):
			d.fail(step, CodeAgentFiles, fmt.Sprintf("the adapter speaks version %s of the protocol, and this program version %d", protocol[1], ProtocolVersion), "install both from one release")
		default:
			d.pass(step, "%s speaks version %d of the protocol", path, ProtocolVersion)
		}
	}
	if err != nil {
		d.skip(program, "without the adapter, nothing is started")
		return
	}
	d.program(ctx, program, path)
}

// program looks at the program that the adapter would start.
func (d *diagnosis) program(ctx context.Context, step Step, adapter string) {
	found, err := d.findProgram(adapter)
	if err != nil {
		d.fail(step, CodeAgentFiles, err.Error(), "install the program in /usr/local/bin, or set program_path in init_config to its absolute path")
		return
	}
	var owners []int
	if u, ok := d.owner(); ok {
		owners = append(owners, u.UID)
	}
	if u, ok := agent.OwnerOf(adapter); ok {
		owners = append(owners, u.UID)
	}
	if err := agent.TrustProgram(found, owners...); err != nil {
		text, next, _ := strings.Cut(err.Error(), ": ")
		d.fail(step, CodeAgentFiles, text, next)
		return
	}
	if sameFile(found, d.o.Program) {
		d.pass(step, "%s, version %s: this program", found, d.o.Version)
		return
	}
	if d.o.RunVersion == nil {
		d.skip(step, "the version of %s was not asked for", found)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	version, protocol, err := d.o.RunVersion(ctx, found)
	switch {
	case err != nil:
		d.fail(step, CodeAgentFiles, fmt.Sprintf("%s, which the adapter starts, does not tell its version: %v", found, err), "install the program anew")
	case protocol != ProtocolVersion:
		d.fail(step, CodeAgentFiles, fmt.Sprintf("%s, which the adapter starts, speaks version %d of the protocol, and this program version %d", found, protocol, ProtocolVersion), "install both from one release")
	case version != d.o.Version:
		d.warn(step, CodeAgentFiles, fmt.Sprintf("the adapter starts %s of version %s, and this is version %s", found, version, d.o.Version), "install one of them in the other's place, or diagnose with the one that the Agent runs")
	default:
		d.pass(step, "%s, version %s", found, version)
	}
}

// findProgram looks where the adapter does: program_path, beside the adapter,
// the usual folders, PATH.
func (d *diagnosis) findProgram(adapter string) (string, error) {
	name := agentName
	folders := []string{filepath.Dir(adapter), "/usr/local/bin", "/usr/bin"}
	if runtime.GOOS == "windows" {
		name += ".exe"
		folders = []string{filepath.Dir(adapter), `C:\Program Files\atlassian-audit-records`}
	}
	for _, in := range d.instances {
		if path := in.Config.ProgramPath; path != "" {
			if !executable(path) {
				return "", fmt.Errorf("program_path is %s, which is not a program", path)
			}
			return path, nil
		}
	}
	for _, dir := range folders {
		if path := filepath.Join(dir, name); executable(path) {
			return path, nil
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("the adapter finds no %s beside itself, in %s or in PATH", name, strings.Join(folders[1:], ", "))
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0)
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// spool tells how full the spool is.
func (d *diagnosis) spool() {
	step := Step{Name: "spool"}
	var bytes int64
	files := 0
	for _, p := range []audit.Product{audit.Jira, audit.Confluence} {
		dir := agent.SpoolDir(agent.Base(d.runPath()), p.LogSource())
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			d.fail(step, CodeMachine, fmt.Sprintf("%s cannot be listed: %v", dir, errors.Unwrap(err)), "run this as root or as the Agent's user")
			return
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), ".jsonl") {
				bytes += info.Size()
				files++
			}
		}
	}
	most := d.instances[0].Config.SpoolMaxSize
	text := fmt.Sprintf("%d files with %d bytes, of %s at most", files, bytes, sized(most))
	if bytes >= most {
		d.fail(step, CodeSpoolFull, text+": collection is paused", "")
		return
	}
	d.pass(step, "%s", text)
}

// unreadFor is how long a file may lie in the spool unread before that is a
// failure.
const unreadFor = time.Hour

// registry tells whether the Agent reads the spool, by its registry.
func (d *diagnosis) registry() {
	step := Step{Name: "registry"}
	path := agent.RegistryPath(d.o.Settings.LogsRunPath, firstOf(d.o.Settings.RunPath, d.runPath()))
	var files []string
	for _, dir := range d.spoolDirs() {
		found, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
		if err == nil {
			files = append(files, found...)
		}
	}
	r, err := agent.ReadRegistry(path)
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
		d.fail(step, CodeUndelivered, fmt.Sprintf("the Agent has not written %s for %s, and it does so each second while it runs", path, silent.Round(time.Minute)), "start the Agent: sudo systemctl start datadog-agent")
	default:
		d.pass(step, "the Agent knows %d of the %d files of the spool; %d bytes are not delivered yet", known, len(files), behind)
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
	step := Step{Name: "state", Instance: c.Host(), Product: p}
	now := d.o.Now()
	f := foldersOf(c.RunPath, c.Host())
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
		if m := endingCode.FindStringSubmatch(act); m != nil {
			code = m[1]
			act = strings.TrimSuffix(act, m[0])
		}
		text, next, _ := strings.Cut(act, ": ")
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

// endingCode is the code at the end of a message.
var endingCode = regexp.MustCompile(` \((\w+)\)$`)
