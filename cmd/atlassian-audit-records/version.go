package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"atlassian_audit_records/check"
)

func newVersionCommand(io stdio) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  " + program + " version --json",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return writeJSON(io.out, struct {
					Version  string `json:"version"`
					Protocol int    `json:"protocol"`
					Go       string `json:"go"`
					OS       string `json:"os"`
					Arch     string `json:"arch"`
				}{version, check.ProtocolVersion, runtime.Version(), runtime.GOOS, runtime.GOARCH})
			}
			if _, err := fmt.Fprintf(io.out, "%s %s (%s %s/%s)\n", program, version, runtime.Version(), runtime.GOOS, runtime.GOARCH); err != nil {
				return fmt.Errorf("write the answer: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
