package check

import (
	"regexp"
	"strings"
	"sync"
)

// Every run is a process that reads its configuration anew, and compiling a
// pattern costs more than all that most runs do with it: what each run needs is
// looked for by hand, the rest compiled on demand.

// onDemand compiles a pattern when it is first needed.
func onDemand(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

const spaces = " \t\n\f\r"

// isHandle tells what the Agent's secret management replaces: ENC[…], the whole
// value.
func isHandle(v string) bool {
	name, ok := strings.CutPrefix(strings.Trim(v, spaces), "ENC[")
	name, closed := strings.CutSuffix(name, "]")
	return ok && closed && !strings.Contains(name, "\n")
}

var placeholder = onDemand(`<[A-Z][A-Z0-9_ ]*>`)

// hasPlaceholder finds what examples write where a value belongs: <YOUR TOKEN>.
func hasPlaceholder(v string) bool {
	return strings.Contains(v, "<") && placeholder().MatchString(v)
}

// isEmail is what an e-mail address looks like. The colon is left out: it would
// end the name in an HTTP Basic credential.
func isEmail(v string) bool {
	name, host, ok := strings.Cut(v, "@")
	return ok && name != "" && host != "" && !strings.ContainsAny(name+host, spaces+"@:<>")
}

// isHostName is a name or an IPv4 address in lower case, as far as a
// configuration can tell.
func isHostName(v string) bool {
	for label := range strings.SplitSeq(v, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
				return false
			}
		}
	}
	return true
}
