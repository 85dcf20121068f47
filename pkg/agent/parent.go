package agent

import (
	"context"
	"errors"
)

// ErrParentGone is the cause of a context that WithParent ended.
var ErrParentGone = errors.New("the process that started this one is gone")

// WithParent is a context that ends, with the cause ErrParentGone, when the
// process that started this one does: within a second on Unix, at once on
// Windows. It cannot tell where that happened before the call. Cancel it, or
// ctx, to end the watching.
func WithParent(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	watchParent(ctx, func() { cancel(ErrParentGone) })
	return ctx, func() { cancel(context.Canceled) }
}
