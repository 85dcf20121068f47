package archtest

const (
	module = "atlassian_audit_records"
	agents = "github.com/DataDog/datadog-agent/"
)

// A room is a package of ours, with every package below it that has no entry
// of its own.
type room struct {
	// imports are the packages of ours that it may import besides its own.
	imports []string
	// why says what would be lost if it imported another one of ours.
	why string
	// never are packages, or whole trees ending in "/", that it may not import
	// itself, each with the reason.
	never map[string]string
	// neverAtAll are packages that may not even be reached through others.
	neverAtAll map[string]string
	// forTests marks a room that only tests and the commands may import.
	forTests bool
}

// rooms are keyed by import path without the module.
var rooms = map[string]room{
	"pkg/audit": {
		why: "it is the vocabulary that all share: whatever it imported, all would import, and a cycle would be next",
		never: map[string]string{
			"os":                 "what a record is does not depend on the machine",
			"log":                "errors are returned; the check decides what is logged",
			"log/slog":           "errors are returned; the check decides what is logged",
			"math/rand":          "a record has the same identity on every machine",
			"math/rand/v2":       "a record has the same identity on every machine",
			"context":            "nothing in it waits",
			"path/filepath":      "it knows no file",
			"os/exec":            "it knows no process",
			"golang.org/x/sys/":  "it is the same on every platform",
			"gopkg.in/yaml.v3":   "the configuration is read by the check",
			"go.etcd.io/bbolt":   "it does not know how it is stored",
			"golang.org/x/time/": "it touches no clock",
		},
		neverAtAll: map[string]string{
			"net":      "it touches no network",
			"net/http": "it touches no network",
		},
	},
	"pkg/collect": {
		imports: []string{"pkg/audit"},
		why: "the promise must be provable without a server and a disk: it declares the interfaces that it needs, and the " +
			"check fills them with atlassian, state and spool",
		never: map[string]string{
			"os":               "it writes through the interfaces that it declares",
			"log":              "errors are returned; the check decides what is logged",
			"log/slog":         "errors are returned; the check decides what is logged",
			"go.etcd.io/bbolt": "how the state is stored is the business of pkg/state",
		},
		neverAtAll: map[string]string{
			"net/http": "it asks through the interface that it declares; which HTTP answer means what is judged in pkg/atlassian",
		},
	},
	"pkg/atlassian": {
		imports: []string{"pkg/audit"},
		why: "it answers a question with a page or a typed error, and knows neither what was read before nor where a page goes: " +
			"a client that knows the state can hide a gap",
	},
	"pkg/atlassian/atlassiantest": {
		why: "it is the other party: sharing one line with the client or with our vocabulary would let one mistake cancel another",
		never: map[string]string{
			agents: "Atlassian does not know the Agent",
		},
		forTests: true,
	},
	"pkg/auth": {
		imports: []string{"pkg/audit"},
		why:     "it puts a credential on a request, whatever the request asks; pkg/atlassian is handed the transport by the check",
	},
	"pkg/state": {
		imports: []string{"pkg/audit"},
		why:     "it makes a change durable without judging it: collect alone knows what a change means",
		neverAtAll: map[string]string{
			"net/http": "the state is on this machine's disk",
		},
	},
	"pkg/spool": {
		imports: []string{"pkg/audit"},
		why:     "it writes the bytes that the redo log holds, at the place that it names; it knows neither the log nor Atlassian",
		neverAtAll: map[string]string{
			"net/http":         "the Agent delivers, not the spool",
			"go.etcd.io/bbolt": "the spool must stay whole when the state is lost",
		},
	},
	"pkg/agent": {
		imports: []string{"pkg/audit"},
		why:     "it holds what we know of the Agent, and would be the same for any other check",
	},
	"pkg/shared": {
		imports: []string{"pkg/audit"},
		why:     "it says what machines share of a site, whatever the store is; what that means for a machine's own state and spool is the check's business",
		never: map[string]string{
			"log":              "errors are returned; the check decides what is logged",
			"log/slog":         "errors are returned; the check decides what is logged",
			"go.etcd.io/bbolt": "a machine's own state is the business of pkg/state",
		},
	},
	"pkg/datadog": {
		why: "it installs whatever assets it is handed, in an organisation that knows nothing of collecting",
	},
	"check": {
		imports: []string{"pkg/audit", "pkg/collect", "pkg/atlassian", "pkg/auth", "pkg/state", "pkg/spool", "pkg/agent", "pkg/shared"},
		why:     "it wires the rooms together; commands and the simulated Atlassian stand outside of it",
		never: map[string]string{
			"github.com/spf13/cobra": "an adapter that is no command line uses the check too",
		},
	},
	"cmd/atlassian-audit-records": {
		imports: []string{
			"check", "pkg/audit", "pkg/collect", "pkg/atlassian", "pkg/auth", "pkg/state", "pkg/spool", "pkg/agent", "pkg/shared",
			"pkg/atlassian/atlassiantest", "pkg/agent/agenttest", "pkg/datadog", "assets", "internal/assettest",
		},
		why: "commands come last: nothing is built on them",
	},
	"assets": {
		why: "it is what Datadog is given, and nothing but text",
	},
	"internal/assettest": {
		why: "it stands for Datadog, which sees log lines and metrics alone; what is shared with the code that makes them " +
			"would let one mistake cancel another",
		forTests: true,
	},
	"internal/sourcetest": {
		imports: []string{"pkg/audit", "pkg/collect", "pkg/atlassian", "pkg/atlassian/atlassiantest", "pkg/auth"},
		why: "it opens the real client at a simulated site, and judges lines by what the site says; what it shared with the spool " +
			"and the state that it judges would let one mistake cancel another",
		forTests: true,
	},
	"internal/comparison": {
		imports: []string{"check", "pkg/agent", "pkg/atlassian/atlassiantest"},
		why: "it sees the check as any other collector: a process that asks a site and hands lines on; only the process itself, and " +
			"the folder in which its lines are, are known to it",
		forTests: true,
	},
	"internal/fleet": {
		imports: []string{"check", "pkg/agent", "pkg/atlassian/atlassiantest"},
		why: "it stands for the Agent, which starts processes and reads files; what it shared with the spool whose files it counts would " +
			"let one mistake cancel another",
		forTests: true,
	},
	"internal/explore": {
		imports: []string{
			"pkg/audit", "pkg/collect", "pkg/spool", "pkg/spool/spooltest", "pkg/state", "pkg/atlassian/atlassiantest", "internal/sourcetest",
		},
		why:      "it lets the rooms that keep the promise live together, as the check wires them, and judges them from outside",
		forTests: true,
	},
	"internal/soak": {
		why: "its tests run the check as it is; there is nothing here that anybody could import",
	},
	"internal/archtest": {
		why: "it reads the code from outside",
	},
}

// An owner is a tree of foreign packages that few of our rooms may import.
type owner struct {
	rooms []string
	why   string
	// testsOnly leaves it to tests, and to rooms that are for tests.
	testsOnly bool
}

// owners are keyed by module path.
var owners = map[string]owner{
	"go.etcd.io/bbolt": {
		rooms: []string{"pkg/state", "pkg/auth"},
		why:   "the state, and apart from it the issued tokens, are all that is kept in a store; how is nobody else's business",
	},
	"golang.org/x/oauth2": {
		rooms: []string{"pkg/auth"},
		why:   "one room handles issued tokens; its style of authentication has to be pinned once",
	},
	"golang.org/x/term": {
		rooms: []string{"cmd/atlassian-audit-records"},
		why:   "commands alone talk to a person",
	},
	"github.com/spf13/cobra": {
		rooms: []string{"cmd/atlassian-audit-records"},
		why:   "commands are thin: what a test would want lies below them",
	},
	"github.com/DataDog/datadog-api-client-go/v2": {
		rooms: []string{"pkg/datadog"},
		why:   "one room speaks to Datadog's API, and what collects stays without it",
	},
	"github.com/cenkalti/backoff/v5": {
		rooms: []string{"pkg/atlassian"},
		why:   "retries happen in one place, within one budget",
	},
	"github.com/DataDog/datadog-agent/pkg/util/log": {
		rooms: []string{"check", "cmd/atlassian-audit-records", "pkg/agent"},
		why:   "the rooms below return errors: with the Agent's modules they could not be used or tested without it",
	},
	"github.com/DataDog/datadog-agent/pkg/util/scrubber": {
		rooms: []string{"check", "cmd/atlassian-audit-records", "pkg/agent"},
		why:   "the rooms below make errors that hold no secret to begin with; the scrubber is the second line",
	},
	"github.com/google/go-cmp": {testsOnly: true, why: "its own documentation keeps it to tests: it may panic"},
	"pgregory.net/rapid":       {testsOnly: true, why: "it generates tests"},
	"go.uber.org/goleak":       {testsOnly: true, why: "it looks for goroutines that a test left behind"},
}

// clocks are the names of package time that read a clock or wait for one.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}

// clockless are the rooms that may name none of them.
var clockless = map[string]string{
	"pkg/audit":   "coverage and identity are arithmetic: the moment is an argument",
	"pkg/collect": "the moment comes from the caller, or no test could stand at midnight",
}

// handed are the rooms that are handed their clock. They may name time.Now, as
// what a nil clock means, but not call it, nor Since, which does. Until is left
// to them for deadlines of contexts, which the standard library's clock ends.
var handed = map[string]string{
	"pkg/atlassian": "a wait that outlasts the process is compared with a clock that tests hand in",
	"pkg/auth":      "a token's end is compared with a clock that tests hand in",
	"pkg/state":     "the age of a copy is told by a clock that tests hand in",
	"pkg/spool":     "files are rolled by a clock that tests hand in",
	"pkg/agent":     "the age of a registry entry is told by a clock that tests hand in",
}
