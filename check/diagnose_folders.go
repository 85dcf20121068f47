package check

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/auth"
)

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
	if d.step("run_path").Status == StepFailed {
		d.skip(Step{Name: "folders"}, "the run path comes first")
		d.skip(Step{Name: "spool_readable"}, "the run path comes first")
		return
	}
	user, known := d.owner()
	owner, _ := agent.OwnerOf(d.runPath())
	switch {
	case known && owner.UID != user.UID:
		d.fail(run, CodeAgentFiles, fmt.Sprintf("the run path %s belongs to %s, and the Agent runs as %s", d.runPath(), owner.Name, user.Name),
			fmt.Sprintf("chown %s %s, or name the Agent's user with --agent-user", user.Name, d.runPath()))
	case known && agent.Me().UID != owner.UID:
		d.fail(run, CodeAgentFiles, fmt.Sprintf("the run path %s belongs to %s, and this command runs as %s, who may not see all of it", d.runPath(), owner.Name, agent.Me().Name),
			fmt.Sprintf("run it as root, or with sudo -u %s", owner.Name))
		d.skip(Step{Name: "folders"}, "they are for %s to see", owner.Name)
		d.skip(Step{Name: "spool_readable"}, "it is for %s to see", owner.Name)
		return
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
		f := foldersOf(d.runPath(), in.Config.Name())
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
			d.fail(step, CodeMachine, err.Error(), "set run_path to a folder on a disk of this machine")
			bad = true
		}
		bad = d.foreignFiles(step, base) || bad
	}
	switch {
	case bad:
	case there == 0:
		d.pass(step, "%s does not exist yet: the first run makes it", base)
	default:
		d.pass(step, "%s and the folders in it belong to this user, and nobody else may write to them", base)
	}
}

// maxWalk bounds how many files are looked at.
const maxWalk = 20000

// foreignFiles tells of the first file below base that is not its owner's, as a
// command that was run by somebody else leaves behind, and of a token file that
// is none.
func (d *diagnosis) foreignFiles(step Step, base string) (found bool) {
	if info, err := os.Lstat(agent.TokenFile(base)); err == nil && !info.Mode().IsRegular() {
		d.fail(step, auth.CodeTokenStore, fmt.Sprintf("the token file %s is not a regular file, so no token is read from or written to it", agent.TokenFile(base)),
			"find out who put it there, and remove it")
		found = true
	}
	owner, ok := agent.OwnerOf(base)
	if !ok {
		return found
	}
	n := 0
	err := filepath.WalkDir(base, func(path string, e fs.DirEntry, err error) error {
		if n++; n > maxWalk {
			return fs.SkipAll
		}
		if errors.Is(err, fs.ErrNotExist) || err == nil && e.Type()&fs.ModeSymlink != 0 {
			return nil // moved away meanwhile, or told of above
		}
		if err != nil {
			return err
		}
		if u, ok := agent.OwnerOf(path); ok && u.UID != owner.UID {
			d.fail(step, CodeMachine, fmt.Sprintf("%s belongs to %s, and the folder it is in to %s: a command was run as another user", path, u.Name, owner.Name),
				fmt.Sprintf("chown -R %s %s", owner.Name, base))
			found = true
			return fs.SkipAll
		}
		return nil
	})
	if err != nil {
		d.fail(step, CodeMachine, fmt.Sprintf("%s cannot be looked through: %v", base, err), "run this as root or as the Agent's user")
		found = true
	}
	return found
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
