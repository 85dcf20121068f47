package shared_test

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	"atlassian_audit_records/pkg/shared"
	"atlassian_audit_records/pkg/shared/sharedtest"
)

// FuzzServe: whatever is asked, each line gets one line of answer, and what is refused
// says why.
func FuzzServe(f *testing.F) {
	const open = `{"do":"open","ms":1000,"config":{"url":"etcd://127.0.0.1:2379/p"}}` + "\n"
	const claim = `"claim":{"key":"sites/a/lease","holder":{"node":"1","host":"web-1","since":"2026-11-23T12:00:00Z"},"ttl":180000000000,"memory":"MQ=="}`
	f.Add([]byte(open + `{"do":"hold","ms":1000,` + claim + `}` + "\n" + `{"do":"read","ms":1000,"keys":["sites/a/jira/head"]}` + "\n"))
	f.Add([]byte(open + `{"do":"write","ms":1000,"grant":{"held":true,"key":"sites/a/lease","fence":"1"},"write":{"first":[{"key":"k","bytes":"AAE="}],"drop":["k"]}}` + "\n" + `{"do":"release","ms":1,` + claim + `,"grant":{}}` + "\n"))
	f.Add([]byte(open + open + `{"do":"read","ms":-9223372036854775808}` + "\n\n" + `{"do":"dance"}` + "\n" + `{"do":"ho`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		err := shared.Serve(t.Context(), bytes.NewReader(in), &out, func(context.Context, shared.Config) (shared.Backend, error) {
			return sharedtest.NewStore(time.Now).Client(), nil
		})
		if err != nil {
			t.Fatalf("it gave up: %v", err)
		}
		if asked, answered := bytes.Count(in, []byte("\n")), bytes.Count(out.Bytes(), []byte("\n")); asked != answered {
			t.Fatalf("%d lines were answered by %d:\n%s", asked, answered, out.Bytes())
		}
		for line := range bytes.Lines(out.Bytes()) {
			var a struct{ Error *shared.Error }
			if err := json.Unmarshal(line, &a); err != nil {
				t.Errorf("%q: %v", line, err)
			} else if a.Error != nil && (a.Error.Kind == "" || a.Error.What == "") {
				t.Errorf("it does not say what is wrong: %s", line)
			}
		}
	})
}
