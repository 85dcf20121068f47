// Its own module, because Datadog's client takes minutes to compile and belongs to these tests alone.
module atlassian_audit_records/internal/modeltest

go 1.26.0

require (
	github.com/DataDog/datadog-api-client-go/v2 v2.67.0
	gopkg.in/yaml.v3 v3.0.1
)

require (
	atlassian_audit_records v0.0.0
	github.com/DataDog/zstd v1.5.2 // indirect
	github.com/goccy/go-json v0.10.2 // indirect
	github.com/google/uuid v1.5.0 // indirect
	golang.org/x/oauth2 v0.37.0 // indirect
)

replace atlassian_audit_records => ../..
