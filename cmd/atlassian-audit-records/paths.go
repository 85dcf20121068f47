package main

import "runtime"

func defaultRunPath() string {
	if runtime.GOOS == "windows" {
		return `C:\ProgramData\Datadog\run`
	}
	return "/opt/datadog-agent/run"
}

func defaultConf() string {
	const name = "atlassian_audit_records.d"
	switch runtime.GOOS {
	case "windows":
		return `C:\ProgramData\Datadog\conf.d\` + name
	case "darwin":
		return "/opt/datadog-agent/etc/conf.d/" + name
	}
	return "/etc/datadog-agent/conf.d/" + name
}
