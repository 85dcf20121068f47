package check

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"atlassian_audit_records/pkg/agent"
)

// otherLogs are the files that the Agent is thought to follow besides the spool's.
const otherLogs = 100

// A Crowd is whether the spool has more files than the Agent follows at a time.
type Crowd struct {
	// Streams are the products of all instances, each with a file of its own, and a
	// second one, from when it begins a new one each day until the old one is
	// delivered for ten minutes.
	Streams int
	// Files are those that lie in the spool, where that was looked at; Limit is what
	// the Agent follows.
	Files, Limit int
	// Over is true where the Agent surely leaves files unread. Text says what is
	// wrong and Next what to do; both are empty where nothing is.
	Over       bool
	Text, Next string
}

// CrowdOf judges the instances of one Agent. limit is its logs_config.open_files_limit,
// 0 for the default.
func CrowdOf(instances []Instance, limit int) Crowd { return crowd(instances, 0, limit) }

// CrowdIn is CrowdOf with the files that lie in the spool now, as far as this user
// may look. It is no crowd where the command run sends them, which follows all.
func CrowdIn(instances []Instance, limit int) Crowd {
	if len(instances) == 0 || sentByRun(instances) {
		return Crowd{}
	}
	return crowd(instances, spoolFiles(instances[0].Config.RunPath), limit) // one configuration has one run path
}

// sentByRun reports whether the last run of any of them was one of the command run's.
func sentByRun(instances []Instance) bool {
	for _, in := range instances {
		c := in.Config
		for _, p := range c.Products {
			last, err := readLastRun(foldersOf(c.RunPath, c.Name()).lastRun(p))
			if err == nil && last.Registry == ownRegistry(c.RunPath) {
				return true
			}
		}
	}
	return false
}

// Notice is Text and Next in one sentence with the code; empty where nothing is
// wrong.
func (c Crowd) Notice() string {
	if c.Text == "" {
		return ""
	}
	return c.Text + ": " + c.Next + " (" + CodeOpenFiles + ")"
}

func crowd(instances []Instance, files, limit int) Crowd {
	if limit <= 0 {
		limit = agent.OpenFilesLimit()
	}
	c := Crowd{Files: files, Limit: limit}
	for _, in := range instances {
		c.Streams += len(in.Config.Products)
	}
	switch {
	case c.Streams > limit:
		c.Over = true
		c.Text = fmt.Sprintf("the Agent follows %d log files at a time, and %d products with a file each are configured: the oldest files are not read, and their records arrive up to 18 hours late", limit, c.Streams)
	case files > limit:
		c.Over = true
		c.Text = fmt.Sprintf("the Agent follows %d log files at a time, and %d lie in the spool: the oldest are not read until others are delivered", limit, files)
	case 2*c.Streams > limit:
		c.Text = fmt.Sprintf("the Agent follows %d log files at a time, and %d products are configured, each with a file, and two for a quarter of an hour a day: records may wait that long", limit, c.Streams)
	default:
		return c
	}
	c.Next = fmt.Sprintf("set logs_config.open_files_limit to %d in datadog.yaml and restart the Agent, or spread the sites over several Agents", max(2*c.Streams, files)+otherLogs)
	return c
}

// openFiles tells whether the Agent can follow all files of the spool.
func (d *diagnosis) openFiles() {
	step := Step{Name: "open_files"}
	if d.file == nil {
		d.skip(step, "the configuration is not valid")
		return
	}
	if sentByRun(d.file.Instances) {
		d.skip(step, "`run` sends what is collected here, and follows every file")
		return
	}
	c := crowd(d.file.Instances, spoolFiles(d.runPath()), d.o.Settings.OpenFiles)
	switch {
	case c.Over:
		d.fail(step, CodeOpenFiles, c.Text, c.Next)
	case c.Text != "":
		d.warn(step, CodeOpenFiles, c.Text, c.Next)
	default:
		d.pass(step, "%d products are configured, %d files lie in the spool, and the Agent follows %d", c.Streams, c.Files, c.Limit)
	}
}

// spoolFiles is how many files lie in the globs below a run path, as far as this
// user may look: whether it may is told elsewhere.
func spoolFiles(runPath string) (n int) {
	sources, _ := os.ReadDir(filepath.Join(agent.Base(runPath), "spool"))
	for _, s := range sources {
		files, _ := os.ReadDir(agent.SpoolDir(agent.Base(runPath), s.Name()))
		for _, f := range files {
			if strings.HasSuffix(f.Name(), ".jsonl") && !strings.HasPrefix(f.Name(), ".") {
				n++
			}
		}
	}
	return n
}
