package main

import (
	"context"

	"atlassian_audit_records/pkg/agent"
)

// withStarter ends with the process that started this one: `atlassian-audit-records
// run` waits for it, and is what a service manager stops.
func withStarter(ctx context.Context) (context.Context, context.CancelFunc) {
	return agent.WithParent(ctx)
}
