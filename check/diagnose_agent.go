package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"atlassian_audit_records/pkg/agent"
)

// agent looks at what the Agent needs to run the check and to send its logs.
func (d *diagnosis) agent(ctx context.Context) {
	if d.settings() {
		d.logsEnabled()
	} else {
		d.skip(Step{Name: "logs_enabled"}, "the Agent's settings could not be read")
	}
	d.logsEntries()
	d.openFiles()
	d.agentVersion()
	d.folders()
	if last := d.step("agent_settings"); last.Status == StepWarning {
		d.skip(Step{Name: "adapter"}, "no Agent is installed here the usual way")
		d.skip(Step{Name: "program"}, "no Agent is installed here the usual way")
		return
	}
	d.adapter(ctx)
}

// step is the last step of that name; the zero Step where there is none.
func (d *diagnosis) step(name string) (s Step) {
	for _, candidate := range d.steps {
		if candidate.Name == name {
			s = candidate
		}
	}
	return s
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

// protocolForm is how the adapter names the protocol that it speaks.
var protocolForm = onDemand(`'protocol':\s*(\d+)`)

// adapter looks at the adapter, and at the program that it would start.
func (d *diagnosis) adapter(ctx context.Context) {
	step, program := Step{Name: "adapter"}, Step{Name: "program"}
	path := filepath.Join(filepath.Dir(d.o.DatadogConf), "checks.d", agent.CheckName+".py")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if library, mode, ok := d.library(); ok {
			d.native(step, library, mode)
			d.program(ctx, program, library)
			return
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.fail(step, CodeAgentFiles, path+" does not exist, so that the Agent does not know the check",
			"install the adapter there: adapters/python/"+agent.CheckName+".py of this project")
	case err != nil:
		d.fail(step, CodeAgentFiles, fmt.Sprintf("the adapter %s cannot be read (%v)", path, errors.Unwrap(err)), "make it readable for the Agent's user: chmod 0644 "+path)
	default:
		protocol := protocolForm().FindSubmatch(text)
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

// library is the native adapter, where that is installed.
func (d *diagnosis) library() (path string, mode fs.FileMode, ok bool) {
	name := "libdatadog-agent-" + agent.CheckName + ".so"
	if runtime.GOOS == "windows" {
		name = "libdatadog-agent-" + agent.CheckName + ".dll"
	}
	path = filepath.Join(filepath.Dir(d.o.DatadogConf), "checks.d", name)
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return "", 0, false
	}
	return path, info.Mode(), true
}

// native judges the file of the native adapter as the strictest Agent does.
func (d *diagnosis) native(step Step, path string, mode fs.FileMode) {
	if runtime.GOOS != "windows" && (mode&0o077 != 0 || mode&0o100 == 0) {
		d.fail(step, CodeAgentFiles, fmt.Sprintf("the native adapter %s has the mode %04o, and the Agent loads no library on which its group or others have rights, or that it may not execute", path, mode.Perm()),
			"chmod 0500 "+path+", and give it to the Agent's user")
		return
	}
	d.pass(step, "%s; the Agent loads it where shared_library_check.enabled is true in its datadog.yaml", path)
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
