// Package datadog reads the Agent's configuration as the Agent does, with its
// own modules: datadog.yaml and DD_*, the logs section of conf.yaml, and the
// secrets that both name as ENC[…].
//
// It promises that what it returns was judged by the Agent's own code, and adds
// only what `run` cannot do. It starts the secret backend and nothing else, and
// writes nothing. The Agent's configuration is one for the process.
package datadog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/DataDog/datadog-agent/comp/core/secrets/utils"
	"github.com/DataDog/datadog-agent/comp/logs/agent/config"
	"github.com/DataDog/datadog-agent/pkg/config/model"
	"github.com/DataDog/datadog-agent/pkg/config/setup"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/auth"
)

// DefaultPath is where the Agent has its datadog.yaml on this platform.
func DefaultPath() string {
	switch runtime.GOOS {
	case "windows":
		return `C:\ProgramData\Datadog\datadog.yaml`
	case "darwin":
		return "/opt/datadog-agent/etc/datadog.yaml"
	}
	return "/etc/datadog-agent/datadog.yaml"
}

// Load reads the file at path, or the environment alone where path is empty,
// and resolves its secrets. It may be called once in a process.
func Load(path string, s *Secrets) (model.Config, error) {
	builder := setup.GlobalConfigBuilder()
	if path == "" {
		// The Agent wants a file, to read the environment too.
		path = os.DevNull
		builder.SetConfigType("yaml")
	} else if err := readable(path); err != nil {
		return nil, err
	}
	builder.SetConfigFile(path)
	if err := setup.LoadDatadog(builder, s, nil); err != nil {
		return nil, fmt.Errorf("read the Agent's configuration: %w", err)
	}
	return builder, nil
}

func readable(path string) error {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s does not exist: give the path of datadog.yaml with --datadog-conf, or leave that out and set DD_API_KEY and DD_SITE", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s may not be read by this user: run the command as the user whom it belongs to", path)
	case err != nil:
		return fmt.Errorf("read the Agent's configuration: %w", err)
	}
	return f.Close()
}

// Endpoints are where logs are sent to.
func Endpoints(cfg model.Config) (*config.Endpoints, error) {
	key := cfg.GetString("logs_config.api_key")
	if key == "" {
		key = cfg.GetString("api_key")
	}
	if key == "" {
		return nil, errors.New("there is no api_key: set it in datadog.yaml, or DD_API_KEY in the environment")
	}
	if is, handle := utils.IsEnc(key); is {
		return nil, fmt.Errorf("api_key is ENC[%s], and there is no secret_backend_command to ask: set it in datadog.yaml", handle)
	}
	endpoints, err := config.BuildEndpoints(cfg, config.HTTPConnectivitySuccess, "logs", config.AgentJSONIntakeProtocol, config.DefaultIntakeOrigin)
	if err != nil {
		return nil, fmt.Errorf("read the Agent's configuration: where to send logs to: %w", err)
	}
	if !endpoints.UseHTTP {
		return nil, errors.New("datadog.yaml wants logs to be sent over TCP, where nothing is ever acknowledged: remove logs_config.force_use_tcp, use_tcp and " +
			"socks5_proxy_address, and set logs_config.force_use_http where there are additional_endpoints")
	}
	return endpoints, nil
}

// Hostname is the host of every log: hostname, or the text of hostname_file, or
// the system's. The Agent also asks clouds and containers, which `run` does not.
func Hostname(cfg model.Config) (string, error) {
	if h := cfg.GetString("hostname"); h != "" {
		return h, nil
	}
	if path := cfg.GetString("hostname_file"); path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("read hostname_file: %w", err)
		}
		return strings.TrimSpace(string(text)), nil
	}
	h, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("the system tells no host name (%w): set hostname in datadog.yaml", err)
	}
	return h, nil
}

// Proxy are the Agent's proxies, for the check.
func Proxy(cfg model.Config) check.Proxy {
	p := cfg.GetProxies()
	if p == nil {
		return check.Proxy{}
	}
	return check.Proxy{HTTP: auth.Secret(p.HTTP), HTTPS: auth.Secret(p.HTTPS), NoProxy: p.NoProxy}
}
