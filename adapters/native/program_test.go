//go:build cgo && linux

package native

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// realProgram is a copy of the program that `make build` made, or that
// ATLASSIAN_AUDIT_RECORDS_PROGRAM names, in a folder that nobody else may write.
func realProgram(t *testing.T) *program {
	t.Helper()
	path := os.Getenv("ATLASSIAN_AUDIT_RECORDS_PROGRAM")
	if path == "" {
		path = filepath.Join("..", "..", "bin", "atlassian-audit-records")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("the program is not there: run `make build` first: %v", err)
	}
	p := newProgram(t, "")
	if err := writeProgram(p.path, text); err != nil {
		t.Fatal(err)
	}
	return p
}

// simulated starts a simulated Atlassian; answers its address.
func simulated(t *testing.T, p *program) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, p.path, "simulate", "--listen", "127.0.0.1:0", "--records", "30")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it ends by the signal
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	at := strings.Index(line, "http://")
	if err != nil || at < 0 {
		t.Fatalf("the simulation says %q, %v", line, err)
	}
	return strings.TrimSpace(line[at:])
}

func TestTheRealProgramCollects(t *testing.T) {
	t.Parallel()
	p := realProgram(t)
	site := simulated(t, p)
	run := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(run, 0o700); err != nil {
		t.Fatal(err)
	}
	in := instance{
		CheckID:    checkID,
		InitConfig: "program_path: " + p.path + "\nrun_path: " + run + "\n",
		Instance: fmt.Sprintf("site: %s\ngateway: %[1]s\nauth_server: %[1]s\nauth:\n  type: api_token\n  email: audit@example.com\n"+
			"  api_token: simulated-classic-api-token\ntags:\n- env:test\n", site),
	}
	r := do(t, job{Instances: []instance{in}, Rounds: 3, Keep: true}, nil)
	for i, one := range r.Runs {
		if one.Error != nil {
			t.Fatalf("run %d: %s", i, *one.Error)
		}
		connected, metrics := 0, 0
		for _, c := range one.Calls {
			tags := strings.Join(c.Tags, " ")
			if !strings.Contains(tags, "site:127.0.0.1:") || !strings.Contains(tags, "env:test") {
				t.Errorf("run %d: %s carries the tags %s", i, c.Name, tags)
			}
			if c.Kind == "metric" {
				metrics++
			}
			if c.Name == "atlassian_audit_records.can_connect" && c.Number == 0 {
				connected++
			}
		}
		if connected != 2 || metrics < 10 {
			t.Errorf("run %d: %d products are connected, %d metrics", i, connected, metrics)
		}
	}
	paths, err := filepath.Glob(filepath.Join(run, "atlassian_audit_records", "spool", "*", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines += strings.Count(string(text), "\n")
	}
	if lines != 30 {
		t.Errorf("%d records are in the spool after three runs, want 30", lines)
	}
}

func TestTheRealProgramExplainsABadConfiguration(t *testing.T) {
	t.Parallel()
	p := realProgram(t)
	r, failed := p.once(job{Instances: []instance{p.of("product: [jira]\n")}})
	if !strings.Contains(failed, "product") || !strings.Contains(failed, "products") || strings.Contains(failed, "before it gave a result") {
		t.Errorf("error %q", failed)
	}
	if text := failed + r.stderr + fmt.Sprint(r.Runs[0].Calls); strings.Contains(text, secret) {
		t.Errorf("the secret is told: %s", text)
	}
}

func TestAProgramThatOthersMayWriteIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, p *program, folder string) error
		want   string // PROGRAM and FOLDER stand for the paths
	}{
		{"others may write it", func(_ *testing.T, p *program, _ string) error { return os.Chmod(p.path, 0o757) },
			"PROGRAM was not started: others may write PROGRAM. Run `chmod go-w PROGRAM`."},
		{"its group may write it", func(_ *testing.T, p *program, _ string) error { return os.Chmod(p.path, 0o775) },
			"PROGRAM was not started: others may write PROGRAM. Run `chmod go-w PROGRAM`."},
		{"others may write its folder", func(_ *testing.T, _ *program, folder string) error { return os.Chmod(folder, 0o707) },
			"PROGRAM was not started: others may write FOLDER. Run `chmod go-w FOLDER`."},
		{"others may write a sticky folder", func(_ *testing.T, _ *program, folder string) error {
			return os.Chmod(folder, 0o777|os.ModeSticky)
		}, ""},
		{"another user owns it", func(t *testing.T, p *program, _ string) error {
			if os.Geteuid() != 0 {
				t.Skip("only root can give a file away")
			}
			return os.Chown(p.path, 65534, 0)
		}, "PROGRAM was not started: another user owns PROGRAM. Run `chown root PROGRAM`."},
		{"it may not be executed", func(_ *testing.T, p *program, _ string) error { return os.Chmod(p.path, 0o644) },
			"PROGRAM is not a program that the Agent can run: install atlassian-audit-records in /usr/local/bin, or set `program_path` in init_config to its absolute path."},
		{"it is a folder", func(_ *testing.T, p *program, _ string) error {
			if err := os.Remove(p.path); err != nil {
				return err
			}
			return os.Mkdir(p.path, 0o755)
		}, "PROGRAM is not a program that the Agent can run: install atlassian-audit-records in /usr/local/bin, or set `program_path` in init_config to its absolute path."},
		{"its interpreter is nowhere", func(_ *testing.T, p *program, _ string) error {
			return writeProgram(p.path, []byte("#!/nowhere/interpreter\n"))
		}, "PROGRAM could not be started: No such file or directory. Install it anew."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProgram(t, "seen", good)
			folder := filepath.Dir(p.path)
			if err := tt.change(t, p, folder); err != nil {
				t.Fatal(err)
			}
			r, failed := p.once(job{})
			got := strings.ReplaceAll(strings.ReplaceAll(failed, p.path, "PROGRAM"), folder, "FOLDER")
			if got != tt.want {
				t.Errorf("error %q, want %q", got, tt.want)
			}
			if ran := len(p.seen()) > 0; ran != (tt.want == "") {
				t.Errorf("it ran: %v", ran)
			}
			if told := len(r.Runs[0].Calls) == 1; told != (tt.want != "") {
				t.Errorf("a service check told of it: %v", told)
			}
		})
	}
}

func TestTheProgramIsLookedForBesideTheLibraryAndInPath(t *testing.T) {
	t.Parallel()
	elsewhere, beside := newProgram(t, "seen", good), newProgram(t, "seen", good)
	library := filepath.Join(filepath.Dir(beside.path), "libdatadog-agent-atlassian_audit_records.so")
	text, err := os.ReadFile(built.library)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(library, text, 0o500); err != nil {
		t.Fatal(err)
	}
	run := func(program string) string {
		t.Helper()
		in := instance{CheckID: checkID, InitConfig: "program_path: " + program + "\n", Instance: configured}
		r := do(t, job{Library: library, Instances: []instance{in}, Keep: true}, []string{"PATH=:relative:" + filepath.Dir(elsewhere.path)})
		if e := r.Runs[0].Error; e != nil {
			return *e
		}
		return ""
	}
	if failed := run(""); failed != "" || len(beside.seen()) == 0 || len(elsewhere.seen()) > 0 {
		t.Errorf("beside the library: error %q; it ran: %v, the one in PATH: %v", failed, len(beside.seen()) > 0, len(elsewhere.seen()) > 0)
	}
	if err := os.Remove(beside.path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/usr/local/bin/atlassian-audit-records"); err == nil {
		t.Skip("the program is installed on this machine, and found before PATH")
	}
	if failed := run(""); failed != "" || len(elsewhere.seen()) == 0 {
		t.Errorf("in PATH: error %q", failed)
	}
	if failed := run("atlassian-audit-records"); !strings.HasPrefix(failed, "atlassian-audit-records is not a program that the Agent can run") {
		t.Errorf("a path that is not absolute: error %q", failed)
	}
	if err := os.Symlink(elsewhere.path, beside.path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(elsewhere.path, 0o777); err != nil {
		t.Fatal(err)
	}
	if failed := run(beside.path); failed != elsewhere.path+" was not started: others may write "+elsewhere.path+". Run `chmod go-w "+elsewhere.path+"`." {
		t.Errorf("a link to one that others may write: error %q", failed)
	}
}
