package datadog

import (
	"fmt"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/DataDog/datadog-agent/comp/logs/agent/config"
	"github.com/DataDog/datadog-agent/pkg/logs/sources"

	"atlassian_audit_records/cmd/atlassian-audit-records-run/internal/tail"
	"atlassian_audit_records/pkg/agent"
)

// Logs are the sources of a conf.yaml's logs section, read and validated by the
// Agent's own code. Each must be one that `run` can follow: files below the
// folder spool, from their beginning, line by line.
func Logs(text []byte, spool string) ([]tail.Source, error) {
	entries, err := config.ParseYAML(text)
	if err != nil {
		return nil, fmt.Errorf("logs: %w", err)
	}
	var file struct {
		InitConfig struct {
			Service string `yaml:"service"`
		} `yaml:"init_config"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("init_config: %w", err)
	}
	var out []tail.Source
	for i, e := range entries {
		if e == nil {
			return nil, fmt.Errorf("logs[%d]: is empty: say what to follow, or remove it", i)
		}
		if e.Service == "" {
			e.Service = file.InitConfig.Service // as the Agent does
		}
		e.IntegrationName = agent.CheckName
		if err := e.Validate(); err != nil {
			return nil, fmt.Errorf("logs[%d]: %w", i, err)
		}
		if why := unfit(e, spool); why != "" {
			return nil, fmt.Errorf("logs[%d]: %s", i, why)
		}
		out = append(out, tail.Source{Glob: e.Path, Exclude: e.ExcludePaths, Log: sources.NewLogSource(agent.CheckName, e)})
	}
	return out, nil
}

// unfit says what `run` cannot do about an entry that the Agent accepts.
func unfit(e *config.LogsConfig, spool string) string {
	rel, err := filepath.Rel(spool, filepath.Dir(e.Path))
	switch {
	case e.Type != config.FileType:
		return fmt.Sprintf("is of type %s, and `run` follows only the files of the spool: remove it, or let an Agent do it", e.Type)
	case err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)):
		return fmt.Sprintf("%s does not lie in the spool, %s: `run` follows nothing else; the path and the run path must agree", e.Path, spool)
	case e.TailingMode != "beginning":
		return "needs `start_position: beginning`: else records that were spooled while nothing was sent are lost"
	case e.Encoding != "" && e.Encoding != "utf-8":
		return fmt.Sprintf("has `encoding: %s`, and the spool is UTF-8: remove the option", e.Encoding)
	}
	for _, r := range e.ProcessingRules {
		if r.Type == config.MultiLine {
			return "has a processing rule of type multi_line, and every line is one record: remove it"
		}
	}
	return ""
}
