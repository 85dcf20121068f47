package datadog

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// owner is who the marks name.
const owner = "atlassian-audit-records"

// The marks. A dashboard's tags may only name teams, so its description bears it.
const (
	ownerTag = "managed_by:" + owner
	assetTag = "asset:"
)

var (
	described = pattern(`Managed by ` + owner + ` \(([A-Za-z0-9_-]+-[0-9a-f]{8})\)`)
	sealed    = pattern(`^([A-Za-z0-9_-]+)-([0-9a-f]{8})$`)
)

// seal is of the title: what bears a mark under another title is a copy, or
// renamed.
func seal(title string) string {
	sum := sha256.Sum256([]byte(title))
	return hex.EncodeToString(sum[:4])
}

// mark writes the mark of an asset into a body.
func mark(k Kind, body map[string]any, name string) {
	of := name + "-" + seal(text(body[kindOf[k].title]))
	if k == Dashboards {
		body["description"] = strings.TrimSpace(fmt.Sprintf("%s\n\nManaged by %s (%s): `assets install` overwrites what is changed here.", text(body["description"]), owner, of))
		return
	}
	tags, _ := body["tags"].([]any)
	body["tags"] = append(append([]any{}, tags...), ownerTag, assetTag+of)
}

// markOf is the asset that something bears the mark of; ok is false where it
// bears none. own is false where the title is not the one that was marked.
func markOf(k Kind, t thing) (name string, own, ok bool) {
	var of string
	if k == Dashboards {
		if m := described().FindStringSubmatch(text(t.body["description"])); m != nil {
			of = m[1]
		}
	} else {
		tags, _ := t.body["tags"].([]any)
		ours := false
		for _, tag := range tags {
			ours = ours || text(tag) == ownerTag
			if rest, is := strings.CutPrefix(text(tag), assetTag); is {
				of = rest
			}
		}
		if !ours {
			return "", false, false
		}
	}
	m := sealed().FindStringSubmatch(of)
	if m == nil {
		return "", false, false
	}
	return m[1], m[2] == seal(t.title), true
}
