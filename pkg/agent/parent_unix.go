//go:build unix

package agent

import (
	"context"
	"os"
	"time"
)

// parentInterval is how often the parent is looked for. Asking the kernel for
// a signal instead (PR_SET_PDEATHSIG) would not do: it comes when the thread
// that started us ends, and the Agent's threads come and go.
const parentInterval = time.Second

func watchParent(ctx context.Context, gone func()) {
	go watch(ctx, os.Getppid, gone)
}

// watch calls gone when the answer of parent changes: an orphan gets another.
func watch(ctx context.Context, parent func() int, gone func()) {
	first := parent()
	ticks := time.NewTicker(parentInterval)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			if parent() != first {
				gone()
				return
			}
		}
	}
}
