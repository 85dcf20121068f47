package shared

import (
	"encoding/json"
	"fmt"

	"atlassian_audit_records/pkg/audit"
)

// headVersion is the version of all that a site's keys hold.
const headVersion = 1

// Head is a stream as far as it is delivered: what a machine that takes the site
// over begins with.
type Head struct {
	Version int `json:"version"`
	// ID is random and made anew with each head: no other one has it, whoever made
	// it and in whichever store. Seq counts the heads of a stream.
	ID  string `json:"id"`
	Seq uint64 `json:"seq"`
	// Position is the position behind the last batch that is delivered with all
	// before it. Of its spool file it knows nothing: that is a machine's own. What
	// Atlassian wants to be waited for, the site's id and the way to it are as
	// they were known when this was written.
	Position audit.Position `json:"position"`
	// Pieces are what was seen, in the order in which it was committed; Next is the
	// number of the next one.
	Pieces []Piece `json:"pieces,omitempty"`
	Next   uint64  `json:"next"`
	// Written is when (wall clock, ms), and Host by which machine, for people.
	Written int64  `json:"written"`
	Host    string `json:"host"`
}

func headKey(scope string) string { return scope + "/head" }

func encodeHead(key string, h *Head) ([]byte, error) {
	body, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode the shared position: %w", err)
	}
	return fmt.Appendf(nil, "%08x %s\n", sum(key, body), body), nil
}

func decodeHead(key string, value []byte) (*Head, error) {
	damaged := func(err error) error {
		return &Error{Kind: Damaged, What: "the shared position " + key + " is damaged", Err: err,
			Next: "find out who writes there besides this program; to begin anew from a machine's own state, or with initial_lookback, remove the site's keys"}
	}
	if len(value) < 10 || value[8] != ' ' || value[len(value)-1] != '\n' {
		return nil, damaged(errCut)
	}
	body := value[9 : len(value)-1]
	if string(value[:8]) != fmt.Sprintf("%08x", sum(key, body)) {
		return nil, damaged(errSum)
	}
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(body, &version); err != nil {
		return nil, damaged(err)
	}
	if version.Version != headVersion {
		return nil, &Error{Kind: Newer, What: fmt.Sprintf("the shared position %s has the format %d, which this version does not know", key, version.Version),
			Next: "use one version of this program on all machines that share the site"}
	}
	h := &Head{}
	if err := json.Unmarshal(body, h); err != nil {
		return nil, damaged(err)
	}
	return h, nil
}
