//go:build cgo && linux

package native

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What is built once for all tests: the library as it ships, the library with a
// deadline of a second and a half, the host that loads them, and the program that
// answers as it is told. NATIVE_SANITIZE is empty, address or thread.
var built struct{ dir, library, hasty, host, stub string }

const (
	// atMost bounds one job, whose runs get some more, so that a deadlock is a failure and not a wait.
	atMost = 2 * time.Minute
)

func TestMain(m *testing.M) {
	flag.Parse()
	if fuzz := flag.Lookup("test.fuzz"); fuzz != nil && fuzz.Value.String() != "" {
		os.Exit(m.Run()) // which need nothing but what cgo has built, in many processes
	}
	code, err := testMain(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func testMain(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "native-")
	if err != nil {
		return 1, fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	built.dir = dir
	built.library, built.hasty = filepath.Join(dir, "library.so"), filepath.Join(dir, "hasty.so")
	built.host, built.stub = filepath.Join(dir, "host"), filepath.Join(dir, "stub")

	host := []string{"build", "-o", built.host}
	var flags, env []string
	switch kind := os.Getenv("NATIVE_SANITIZE"); kind {
	case "":
	case "address":
		flags = []string{"-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"}
		host = append(host, "-asan")
	case "thread":
		flags = []string{"-fsanitize=thread"}
		env = []string{"CGO_CFLAGS=-fsanitize=thread", "CGO_LDFLAGS=-fsanitize=thread"}
	default:
		return 1, fmt.Errorf("NATIVE_SANITIZE is %q: it may be address or thread", kind)
	}
	script := filepath.Join("..", "..", "tools", "native.sh")
	for _, c := range [][]string{
		append([]string{script, hostPlatform(), built.library}, flags...),
		append([]string{script, hostPlatform(), built.hasty, "-DDEADLINE_MS=1500"}, flags...),
		append(append([]string{"go"}, host...), "./host"),
		{"cc", "-O2", "-o", built.stub, "testdata/stub.c"},
	} {
		cmd := exec.CommandContext(context.Background(), c[0], c[1:]...)
		cmd.Env = append(os.Environ(), "VERSION=1.2.3-test")
		cmd.Env = append(cmd.Env, env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return 1, fmt.Errorf("%s: %w\n%s", strings.Join(c, " "), err, out)
		}
	}
	return m.Run(), nil
}

// The host's own types, as it writes them; it is a program, so they cannot be imported.
type (
	instance struct {
		CheckID    string `json:"check_id"`
		InitConfig string `json:"init_config"`
		Instance   string `json:"instance"`
	}
	job struct {
		Library        string     `json:"library"`
		Instances      []instance `json:"instances"`
		Rounds         int        `json:"rounds"`
		Parallel       int        `json:"parallel"`
		Keep           bool       `json:"keep"`
		Leave          int        `json:"leave"`
		Unload         bool       `json:"unload"`
		IgnoreChildren bool       `json:"ignore_children"`
		CloseStandard  bool       `json:"close_standard"`
	}
	call struct {
		Kind    string   `json:"kind"`
		CheckID string   `json:"check_id"`
		Name    string   `json:"name"`
		Number  float64  `json:"number"`
		Type    int      `json:"type"`
		Tags    []string `json:"tags"`
		Host    string   `json:"host"`
		Text    string   `json:"text"`
		Event   []string `json:"event"`
	}
	ran struct {
		CheckID string  `json:"check_id"`
		Error   *string `json:"error"`
		Calls   []call  `json:"calls"`
	}
	use struct {
		Descriptors []string `json:"descriptors"`
		Children    []string `json:"children"`
		Heap        int64    `json:"heap"`
		Resident    int64    `json:"resident"`
	}
	report struct {
		Version string `json:"version"`
		Runs    []ran  `json:"runs"`
		Calls   int    `json:"calls"`
		Before  use    `json:"before"`
		Middle  use    `json:"middle"`
		After   use    `json:"after"`

		stderr string
	}
)

// do has a host of its own do the job. env is its whole environment; the usual
// one where it is nil.
func do(t *testing.T, j job, env []string) report {
	t.Helper()
	if j.Library == "" {
		j.Library = built.library
	}
	j.Rounds = max(1, j.Rounds)
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	bound := atMost + time.Duration(j.Rounds*len(j.Instances)/10)*time.Second
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	cmd := exec.CommandContext(ctx, built.host)
	if cmd.Env = env; env == nil {
		cmd.Env = append(os.Environ(), "DD_API_KEY=0123456789abcdef0123456789abcdef")
	}
	var out, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text), &out, &stderr
	if err := cmd.Run(); err != nil {
		said := stderr.String()
		t.Fatalf("the host did not survive: %v\n%s", err, said[max(0, len(said)-10000):])
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("the host's report: %v\n%s", err, out.String())
	}
	r.stderr = stderr.String()
	return r
}

// program is a copy of the stub in a folder of its own.
type program struct {
	t    *testing.T
	path string
}

// writeProgram writes a file that is to be executed. No process is forked meanwhile:
// it would inherit the file, open for writing, and the system executes no such file.
func writeProgram(path string, text []byte) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, text, 0o755)
}

const good = `{"type": "result", "error": null}`

// newProgram makes a program that behaves as the words of play say, and answers these lines.
func newProgram(t *testing.T, play string, lines ...string) *program {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(built.stub)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t, filepath.Join(dir, "atlassian-audit-records")}
	if err := writeProgram(p.path, text); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Dir(dir), dir, p.path} { // whatever the umask
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.beside(".play", play)
	p.beside(".out", strings.Join(append(lines, ""), "\n"))
	return p
}

func (p *program) beside(suffix, text string) {
	p.t.Helper()
	if err := os.WriteFile(p.path+suffix, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// seen is what the program was given, by what it is; "" where it did not run.
func (p *program) seen() map[string][]string {
	p.t.Helper()
	text, err := os.ReadFile(p.path + ".seen")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.t.Fatal(err)
	}
	out := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		what, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		out[what] = append(out[what], strings.TrimSpace(value))
	}
	return out
}

const (
	secret     = "ATATT3xFfGF0-not-a-real-token"
	checkID    = "atlassian_audit_records:0123456789abcdef"
	configured = "site: https://Example.atlassian.net/wiki\ntags:\n- env:test\nauth:\n  type: api_token\n" +
		"  email: audit@example.com\n  api_token: " + secret + "\n"
)

// of is an instance that this program runs for.
func (p *program) of(more string) instance {
	return instance{CheckID: checkID, InitConfig: "program_path: " + p.path + "\n", Instance: configured + more}
}

// once runs it once; answers the report, and the text of the error, empty where there was none.
func (p *program) once(j job) (report, string) {
	p.t.Helper()
	if j.Instances == nil {
		j.Instances = []instance{p.of("")}
	}
	j.Keep = true
	r := do(p.t, j, nil)
	if len(r.Runs) != 1 {
		p.t.Fatalf("%d runs, want 1", len(r.Runs))
	}
	if r.Runs[0].Error == nil {
		return r, ""
	}
	return r, *r.Runs[0].Error
}

// hostPlatform is this machine, as tools/native.sh names it.
func hostPlatform() string { return "linux-" + runtime.GOARCH }
