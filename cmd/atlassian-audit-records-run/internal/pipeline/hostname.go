package pipeline

import (
	"context"

	"github.com/DataDog/datadog-agent/comp/core/hostname/hostnameinterface"
)

// hostname is the Agent's component of that name for a host whose name is known.
type hostname string

func (h hostname) Get(context.Context) (string, error) { return string(h), nil }

func (h hostname) GetWithProvider(context.Context) (hostnameinterface.Data, error) {
	return hostnameinterface.Data{Hostname: string(h), Provider: "configuration"}, nil
}

func (h hostname) GetSafe(context.Context) string { return string(h) }
