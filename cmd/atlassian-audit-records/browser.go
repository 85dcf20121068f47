package main

import (
	"context"
	"os/exec"
	"runtime"
)

// openBrowser opens an address in the person's browser, where there is one. It
// is a convenience: the address is printed as well, so failures are not told.
func openBrowser(ctx context.Context, getenv func(string) string, address string) {
	var cmd *exec.Cmd
	switch runtime.GOOS {
	case "windows":
		cmd = exec.CommandContext(ctx, "rundll32", "url.dll,FileProtocolHandler", address) //nolint:gosec // the address is made by this program
	case "darwin":
		cmd = exec.CommandContext(ctx, "open", address) //nolint:gosec // as above
	default:
		if getenv("DISPLAY") == "" && getenv("WAYLAND_DISPLAY") == "" {
			return // a server; a text browser would take the terminal
		}
		cmd = exec.CommandContext(ctx, "xdg-open", address) //nolint:gosec // as above
	}
	if cmd.Start() == nil {
		go func() { _ = cmd.Wait() }() // so that it does not stay behind as a zombie
	}
}
