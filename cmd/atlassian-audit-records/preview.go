package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"atlassian_audit_records/check"
	"atlassian_audit_records/cmd/atlassian-audit-records/internal/preview"
	"atlassian_audit_records/pkg/agent"
)

// previewFlags are the flags of preview.
type previewFlags struct {
	conf, runPath, output string
	datadogConf           string
	site, product, actor  string
	spool, given          bool
	since                 time.Duration
	records               int
}

func newPreviewCommand(std stdio) *cobra.Command {
	var f previewFlags
	cmd := &cobra.Command{
		Use:   "preview [--spool] [--output FILE]",
		Short: "Draw the dashboards into one HTML page, without Datadog",
		Long: "Draws the dashboards of assets/ over log lines, behind the log pipelines of assets/, into\n" +
			"one HTML page that needs no network: made-up records of a week, in which every attack\n" +
			"happens that the detection rules know, or with --spool the records that lie on this\n" +
			"machine, delivered or not. Nothing is sent, and nothing but the page is written.\n\n" +
			"A page made with --spool holds audit records: who may read it is who may read those. It is\n" +
			"written for its owner alone.\n\n" +
			"Exit status: 0 done, 1 failed, or the spool holds no record of that time, 2 wrong use.",
		Example: "  " + program + " preview --output preview.html\n" +
			"  sudo -u dd-agent " + program + " preview --spool --since 24h --output - > preview.html",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.given = cmd.Flags().Changed("run-path")
			if !f.spool {
				for _, name := range []string{"run-path", "conf", "datadog-conf", "since", "records"} {
					if cmd.Flags().Changed(name) {
						return &usageError{reason: "--" + name + " goes with --spool", next: cmd.CommandPath() + " --help"}
					}
				}
			}
			if f.since <= 0 || f.records <= 0 {
				return &usageError{reason: "--since and --records must be more than 0", next: cmd.CommandPath() + " --help"}
			}
			return f.run(cmd.Context(), std, time.Now().UTC())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "preview.html", "the page to write; - is the standard output")
	flags.BoolVar(&f.spool, "spool", false, "draw the records that lie on this machine")
	flags.StringVar(&f.conf, "conf", filepath.Dir(agent.ConfFile(agent.ConfPath())), "a conf.yaml, or a folder of *.yaml files, for its run_path")
	flags.StringVar(&f.runPath, "run-path", agent.RunPath(), "where state and spool are; where it is given, it counts before run_path in init_config")
	flags.StringVar(&f.datadogConf, "datadog-conf", agent.DatadogConf(), "the Agent's datadog.yaml, whose run_path counts where the configuration has none")
	flags.DurationVar(&f.since, "since", preview.MadeUpSpan, "how far back to look")
	flags.IntVar(&f.records, "records", 20000, "read at most so many, the newest")
	flags.StringVar(&f.site, "site", "", "choose a site in the dashboards: $site")
	flags.StringVar(&f.product, "product", "", "choose a product: $product")
	flags.StringVar(&f.actor, "actor", "", "choose an account id: $actor")
	return cmd
}

func (f previewFlags) run(ctx context.Context, std stdio, now time.Time) error {
	data, o, err := f.data(ctx, std, now)
	if err != nil {
		return err
	}
	page, err := preview.Draw(data, o)
	if err != nil {
		return err
	}
	if page.Records == 0 && f.spool {
		return fmt.Errorf("no record of the last %s lies below %s: say --since, or try it without --spool for made-up records", f.since, f.base(std))
	}
	var text bytes.Buffer
	if err := page.Write(&text); err != nil {
		return err
	}
	if f.output == "-" {
		_, err := std.out.Write(text.Bytes())
		if err != nil {
			return fmt.Errorf("write the page: %w", err)
		}
		return nil
	}
	if err := writePage(f.output, text.Bytes()); err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s in %s: open it in a browser.\n", counted(page.Records, "record"), f.output)
	return nil
}

// base is the folder of the check's below the run path, as status finds it.
func (f previewFlags) base(std stdio) string {
	if f.given {
		return agent.Base(f.runPath)
	}
	env := check.Env{RunPath: f.runPath, Getenv: std.getenv}
	ofAgent(&env, std, f.datadogConf, false)
	return agent.Base(check.FileRunPath(f.conf, env))
}

// data is what is to be drawn, and how.
func (f previewFlags) data(ctx context.Context, std stdio, now time.Time) (data preview.Data, o preview.Options, err error) {
	o = preview.Options{From: now.Add(-f.since), To: now, Chosen: map[string]string{}}
	for name, value := range map[string]string{"site": f.site, "product": f.product, "actor": f.actor} {
		if value != "" {
			o.Chosen[name] = escapeQuery(value)
		}
	}
	if f.spool {
		found, err := preview.Spooled(f.base(std), f.records)
		if errors.Is(err, fs.ErrPermission) {
			return data, o, fmt.Errorf("%w: run this as the Agent's user, like sudo -u dd-agent %s preview --spool --output - > preview.html", err, program)
		}
		if err != nil {
			return data, o, err
		}
		o.Source = "The records that lie on this machine, waiting for the Agent or delivered by it."
		o.Notes = []string{
			"Records stand under their own date, also those that Datadog shows under the time of their arrival.",
			"Of what was delivered, only the last 24 hours are kept.",
		}
		if found.Left {
			o.Notes = append(o.Notes, fmt.Sprintf("Only the newest %d are read; --records says how many.", f.records))
		}
		data.Lines = found.Lines
		return data, o, nil
	}
	folder, err := os.MkdirTemp("", "atlassian-audit-records-preview-")
	if err != nil {
		return data, o, fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	o.Source = "Made-up records of a simulated site: ordinary days, and every attack that the detection rules know."
	o.Notes = []string{"Countries and networks are made up, too: the addresses are those set apart for documentation."}
	data, err = preview.MadeUp(ctx, folder, now)
	return data, o, err
}

// escapeQuery makes a text one value of a search.
func escapeQuery(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strings.ContainsRune(`:*?()"\ <>=[]`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// writePage puts the page at path at once and whole, readable by its owner alone.
func writePage(path string, text []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".preview-*")
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // what went wrong is told
		}
	}()
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	if err = os.Rename(file.Name(), path); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}
