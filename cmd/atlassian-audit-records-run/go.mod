module atlassian_audit_records/cmd/atlassian-audit-records-run

go 1.26.0

replace atlassian_audit_records => ../..

require (
	atlassian_audit_records v0.0.0
	github.com/DataDog/datadog-agent/comp/core/hostname/hostnameinterface v0.77.0
	github.com/DataDog/datadog-agent/comp/core/secrets/def v0.77.0
	github.com/DataDog/datadog-agent/comp/core/secrets/utils v0.77.0
	github.com/DataDog/datadog-agent/comp/logs/agent/config v0.77.0
	github.com/DataDog/datadog-agent/pkg/config/model v0.77.0
	github.com/DataDog/datadog-agent/pkg/config/setup v0.77.0
	github.com/DataDog/datadog-agent/pkg/logs/client v0.77.0
	github.com/DataDog/datadog-agent/pkg/logs/diagnostic v0.77.0
	github.com/DataDog/datadog-agent/pkg/logs/message v0.77.0
	github.com/DataDog/datadog-agent/pkg/logs/metrics v0.77.0
	github.com/DataDog/datadog-agent/pkg/logs/pipeline v0.77.0
	github.com/DataDog/datadog-agent/pkg/logs/processor v0.77.0
	github.com/DataDog/datadog-agent/pkg/logs/sender v0.77.0
	github.com/DataDog/datadog-agent/pkg/logs/sources v0.77.0
	github.com/DataDog/datadog-agent/pkg/util/compression v0.77.0
	github.com/DataDog/datadog-agent/pkg/util/log v0.77.0
	github.com/gofrs/flock v0.13.0
	github.com/google/go-cmp v0.7.0
	github.com/klauspost/compress v1.20.3
	github.com/spf13/cobra v1.10.2
	golang.org/x/sys v0.49.0
	gopkg.in/yaml.v3 v3.0.1
	pgregory.net/rapid v1.3.0
)

require (
	github.com/DataDog/agent-payload/v5 v5.0.180 // indirect
	github.com/DataDog/datadog-agent/comp/core/telemetry v0.77.0 // indirect
	github.com/DataDog/datadog-agent/comp/def v0.77.0 // indirect
	github.com/DataDog/datadog-agent/comp/serializer/logscompression v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/collector/check/defaults v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/config/basic v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/config/create v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/config/env v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/config/helper v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/config/nodetreemodel v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/config/structure v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/config/teeconfig v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/config/utils v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/config/viperconfig v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/fips v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/logs/status/statusinterface v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/logs/status/utils v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/logs/types v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/telemetry v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/template v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/util/backoff v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/util/executable v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/util/filesystem v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/util/fxutil v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/util/http v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/util/option v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/util/pointer v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/util/scrubber v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/util/startstop v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/util/statstracker v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/util/system v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/util/winutil v0.77.0 // indirect
	github.com/DataDog/datadog-agent/pkg/version v0.77.0 // indirect
	github.com/DataDog/viper v1.15.0 // indirect
	github.com/Microsoft/go-winio v0.6.2 // indirect
	github.com/benbjohnson/clock v1.3.5 // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cenkalti/backoff/v5 v5.0.3 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/davecgh/go-spew v1.1.2-0.20180830191138-d8f796af33cc // indirect
	github.com/ebitengine/purego v0.9.1 // indirect
	github.com/fsnotify/fsnotify v1.9.0 // indirect
	github.com/go-ole/go-ole v1.3.0 // indirect
	github.com/go-viper/mapstructure/v2 v2.5.0 // indirect
	github.com/gogo/protobuf v1.3.2 // indirect
	github.com/hectane/go-acl v0.0.0-20230122075934-ca0b05cb1adb // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/lufia/plan9stats v0.0.0-20251013123823-9fd1530e3ec3 // indirect
	github.com/magiconair/properties v1.8.10 // indirect
	github.com/mdlayher/socket v0.5.1 // indirect
	github.com/mdlayher/vsock v1.2.1 // indirect
	github.com/mohae/deepcopy v0.0.0-20170929034955-c48cc78d4826 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/pelletier/go-toml v1.9.5 // indirect
	github.com/pmezard/go-difflib v1.0.1-0.20181226105442-5d4384ee4fb2 // indirect
	github.com/power-devops/perfstat v0.0.0-20240221224432-82ca36839d55 // indirect
	github.com/prometheus/client_golang v1.23.2 // indirect
	github.com/prometheus/client_model v0.6.2 // indirect
	github.com/prometheus/common v0.67.5 // indirect
	github.com/prometheus/procfs v0.19.2 // indirect
	github.com/shirou/gopsutil/v4 v4.26.1 // indirect
	github.com/spf13/cast v1.10.0 // indirect
	github.com/spf13/jwalterweatherman v1.1.0 // indirect
	github.com/spf13/pflag v1.0.10 // indirect
	github.com/stretchr/testify v1.11.1 // indirect
	github.com/tklauser/go-sysconf v0.3.16 // indirect
	github.com/tklauser/numcpus v0.11.0 // indirect
	github.com/yusufpapurcu/wmi v1.2.4 // indirect
	go.etcd.io/bbolt v1.5.0 // indirect
	go.uber.org/atomic v1.11.0 // indirect
	go.uber.org/dig v1.19.0 // indirect
	go.uber.org/fx v1.24.0 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	go.uber.org/zap v1.27.1 // indirect
	go.yaml.in/yaml/v2 v2.4.3 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/oauth2 v0.37.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/time v0.16.0 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
	gopkg.in/yaml.v2 v2.4.0 // indirect
)
