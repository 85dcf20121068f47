package main

import (
	"context"

	"atlassian_audit_records/pkg/shared"
)

// openShared opens the store that machines share: by the program that knows it, which
// is installed beside this one and started where a store is configured.
func openShared(ctx context.Context, c shared.Config) (shared.Backend, error) {
	path, err := besideThis(shared.Program)
	if err != nil {
		return nil, &shared.Error{Kind: shared.Refused, What: "the shared state cannot be reached", Err: err}
	}
	return shared.Start(ctx, path, c)
}
