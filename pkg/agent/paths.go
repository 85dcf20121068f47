package agent

import (
	"path/filepath"
	"runtime"
)

// CheckName is the check's name: in the Agent's configuration, and of the
// folder in its run path.
const CheckName = "atlassian_audit_records"

// RunPath is the run path of an Agent that was installed the usual way on this
// platform; the Agent's setting run_path may say otherwise.
func RunPath() string { return runPath(runtime.GOOS) }

func runPath(goos string) string {
	if goos == "windows" {
		return `C:\ProgramData\Datadog\run`
	}
	return "/opt/datadog-agent/run"
}

// ConfPath is the folder of the Agent's check configurations, conf.d, where
// the Agent was installed the usual way.
func ConfPath() string { return confPath(runtime.GOOS) }

func confPath(goos string) string {
	switch goos {
	case "windows":
		return `C:\ProgramData\Datadog\conf.d`
	case "darwin":
		return "/opt/datadog-agent/etc/conf.d"
	}
	return "/etc/datadog-agent/conf.d"
}

// ConfFile is the check's own configuration below a conf.d.
func ConfFile(confPath string) string {
	return filepath.Join(confPath, CheckName+".d", "conf.yaml")
}

// Base is the folder in the Agent's run path in which everything of ours is.
func Base(runPath string) string { return filepath.Join(runPath, CheckName) }

// SpoolDir is the folder of one log source's files, which the Agent tails.
func SpoolDir(base, source string) string { return filepath.Join(base, "spool", source) }

// LateDir is the folder of files that were taken out of the spool to be spooled
// again, and DeliveredDir that of files that the Agent has delivered.
func LateDir(base, source string) string { return filepath.Join(base, "late", source) }

// DeliveredDir is explained at LateDir.
func DeliveredDir(base, source string) string { return filepath.Join(base, "delivered", source) }

// StateDir is the folder of what is remembered between runs.
func StateDir(base string) string { return filepath.Join(base, "state") }

// OversizeDir is the folder of records that were too large for a log line.
func OversizeDir(base string) string { return filepath.Join(base, "oversize") }

// TokenFile is the one file of issued access tokens, of mode 0600.
func TokenFile(base string) string { return filepath.Join(base, "tokens.json") }
