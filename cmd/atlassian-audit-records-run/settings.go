package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/DataDog/datadog-agent/comp/logs/agent/config"
	"github.com/DataDog/datadog-agent/pkg/config/model"

	"atlassian_audit_records/check"
	"atlassian_audit_records/cmd/atlassian-audit-records-run/internal/datadog"
	"atlassian_audit_records/cmd/atlassian-audit-records-run/internal/schedule"
	"atlassian_audit_records/cmd/atlassian-audit-records-run/internal/tail"
	"atlassian_audit_records/pkg/agent"
)

// collector is the program that collects, beside this one.
const collector = "atlassian-audit-records"

// agentVersion is the release whose modules send the logs.
const agentVersion = "7.77.0"

// settings are everything that was configured, read and judged.
type settings struct {
	agent     model.Config
	secrets   *datadog.Secrets
	endpoints *config.Endpoints
	hostname  string
	// runPath holds the spool, and the folder of this command's own.
	runPath, spool, folder string
	sources                []tail.Source
	jobs                   []schedule.Job
	warnings               []string
	// program is the file of the collector.
	program string
	// registries are where an Agent on this machine would keep how far it has
	// sent; agentConf is where it would have this check's configuration.
	registries []string
	agentConf  string
}

// readSettings reads everything, and starts nothing but the secret backend, which
// ends with ctx.
func readSettings(ctx context.Context, f flags) (s *settings, err error) {
	s = &settings{secrets: datadog.NewSecrets(ctx)}
	if s.program, err = besideThis(collector); err != nil {
		return nil, err
	}
	if f.given.runPath {
		if s.runPath, err = filepath.Abs(f.runPath); err != nil {
			return nil, fmt.Errorf("--run-path: %w", err)
		}
		// Before anything is read: the configuration is read as the user who runs this.
		if err := agent.BecomeOwner(s.runPath); err != nil {
			return nil, err
		}
	}
	path := f.datadog
	if !f.given.datadog {
		if _, err := os.Stat(datadog.DefaultPath()); err == nil {
			path = datadog.DefaultPath()
		}
	}
	if s.agent, err = datadog.Load(path, s.secrets); err != nil {
		return nil, err
	}
	if s.endpoints, err = datadog.Endpoints(s.agent); err != nil {
		return nil, err
	}
	if s.hostname, err = datadog.Hostname(s.agent); err != nil {
		return nil, err
	}
	env := check.Env{RunPath: s.agent.GetString("run_path"), Proxy: datadog.Proxy(s.agent), Getenv: os.Getenv}
	if !f.given.runPath {
		s.runPath = check.FileRunPath(f.conf, env)
		if err := agent.BecomeOwner(s.runPath); err != nil {
			return nil, err
		}
	}
	env.RunPath = s.runPath
	base := agent.Base(s.runPath)
	s.spool, s.folder = filepath.Join(base, "spool"), filepath.Join(base, "run")
	for _, dir := range []string{s.agent.GetString("logs_config.run_path"), s.agent.GetString("run_path"), agent.RunPath()} {
		// Which of the first two counts where only one is set depends on the Agent's version.
		if path := filepath.Join(dir, agent.RegistryName); dir != "" && !slices.Contains(s.registries, path) {
			s.registries = append(s.registries, path)
		}
	}
	s.agentConf = filepath.Dir(agent.ConfFile(s.agent.GetString("confd_path")))
	return s, s.readCheck(f, env)
}

// readTexts reads the files of a configuration.
func readTexts(path string) ([]check.Text, error) { return check.ReadTexts(path) }

// readCheck reads conf.yaml: the instances, and the logs section.
func (s *settings) readCheck(f flags, env check.Env) error {
	texts, err := readTexts(f.conf)
	if err != nil {
		return err
	}
	for i, t := range texts {
		if !s.agent.GetBool("secret_backend_skip_checks") {
			if texts[i].YAML, err = s.secrets.Resolve(t.YAML, filepath.Base(t.Path), "", "", false); err != nil {
				return err
			}
		}
		sources, err := datadog.Logs(texts[i].YAML, s.spool)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(t.Path), err)
		}
		s.sources = append(s.sources, sources...)
	}
	file, err := check.ParseTexts(texts, filepath.Base(f.conf), env)
	if err != nil {
		return err
	}
	for _, w := range file.Warnings {
		s.warnings = append(s.warnings, w.String())
	}
	if len(s.sources) == 0 {
		return fmt.Errorf("%s has no `logs` section, so that nothing would be sent: take it over from conf.yaml.example", f.conf)
	}
	raw, err := instances(texts)
	if err != nil {
		return err
	}
	if len(raw) != len(file.Instances) {
		return fmt.Errorf("%s has %d instances, of which %d could be read; please report this with the version", f.conf, len(raw), len(file.Instances))
	}
	for i, in := range file.Instances {
		if in.Config.RunPath != s.runPath && !f.given.runPath {
			return fmt.Errorf("%s has another run_path, %s, than the rest, %s: `run` sends one spool; give all files the same", in.Where, in.Config.RunPath, s.runPath)
		}
		job, err := s.job(in, raw[i], f.given.runPath)
		if err != nil {
			return err
		}
		s.jobs = append(s.jobs, job)
	}
	return nil
}

// texts of one instance.
type rawInstance struct{ init, instance yaml.Node }

// instances are the texts of all instances, in their order.
func instances(texts []check.Text) ([]rawInstance, error) {
	var out []rawInstance
	for _, t := range texts {
		var file struct {
			Init      yaml.Node   `yaml:"init_config"`
			Instances []yaml.Node `yaml:"instances"`
		}
		if err := yaml.Unmarshal(t.YAML, &file); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(t.Path), err)
		}
		for _, n := range file.Instances {
			out = append(out, rawInstance{file.Init, n})
		}
	}
	return out, nil
}

// job is an instance as it is handed to the collector. Where the run path was
// given on the command line, the one in init_config does not count.
func (s *settings) job(in check.Instance, raw rawInstance, given bool) (schedule.Job, error) {
	init := map[string]any{}
	if !raw.init.IsZero() {
		if err := raw.init.Decode(&init); err != nil {
			return schedule.Job{}, fmt.Errorf("%s: init_config: %w", in.Where, err)
		}
	}
	if given {
		delete(init, "run_path")
	}
	initText, err := yaml.Marshal(init)
	if err != nil {
		return schedule.Job{}, fmt.Errorf("%s: init_config: %w", in.Where, err)
	}
	text, err := yaml.Marshal(&raw.instance)
	if err != nil {
		return schedule.Job{}, fmt.Errorf("%s: %w", in.Where, err)
	}
	request := schedule.Request{
		Protocol: check.ProtocolVersion, CheckID: agent.CheckName + ":" + in.Where, CheckName: agent.CheckName,
		InitConfig: string(initText), Instance: string(text),
		Agent: schedule.Agent{
			Version: agentVersion, Hostname: s.hostname, RunPath: s.runPath, LogsRunPath: s.folder, LogsEnabled: true,
			LogLevel: s.agent.GetString("log_level"),
		},
	}
	if p := s.agent.GetProxies(); p != nil {
		request.Agent.Proxy = schedule.Proxy{HTTP: p.HTTP, HTTPS: p.HTTPS, NoProxy: p.NoProxy}
	}
	encoded, err := request.Encode()
	if err != nil {
		return schedule.Job{}, err
	}
	_, limit := check.Budget(in.Config)
	return schedule.Job{Name: in.Where + " (" + in.Config.Host() + ")", Interval: in.Config.Interval, Limit: limit, Request: encoded}, nil
}

// besideThis is the file of a program in the folder of this one.
func besideThis(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program's own file: %w", err)
	}
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	path := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s, which collects, is not beside %s: install both programs in one folder", name, self)
	} else if err != nil {
		return "", fmt.Errorf("find the program that collects: %w", err)
	}
	return path, nil
}
