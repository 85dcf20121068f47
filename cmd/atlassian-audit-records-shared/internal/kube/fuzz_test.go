package kube

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzIndex: what can be read is written as it was, and no number has two meanings.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"version":1,"place":"sites/example.atlassian.net","id":"1f3a9c22","term":3,"lease":"u","values":{"jira/head":4,"jira/seen/1":1},"next":6,"drop":[5]}`))
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte(`{"version":1,"id":"x","values":{},"next":18446744073709551615}`))
	f.Add([]byte(`{"version":1,"id":"x","values":{"a":1},"drop":[1],"next":2}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		ix, err := decodeIndex(body)
		if err != nil || ix.Version > indexVersion {
			return
		}
		again, err := json.Marshal(ix)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodeIndex(again)
		if diff := cmp.Diff(ix, back, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("%v (-read +read again)\n%s", err, diff)
		}
	})
}
