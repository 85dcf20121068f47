package datadog

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// A Difference is one value that is not as the assets say.
type Difference struct {
	// Path is where, like widgets[2].definition.title.
	Path string `json:"path"`
	// Is and Should are JSON, shortened; empty where there is nothing.
	Is     string `json:"is"`
	Should string `json:"should"`
}

func (d Difference) String() string {
	show := func(s string) string {
		if s == "" {
			return "nothing"
		}
		return s
	}
	return fmt.Sprintf("%s: %s -> %s", d.Path, show(d.Is), show(d.Should))
}

// differences compares what should be with what is. What is there beyond that is
// Datadog's to add (ids, authors, defaults), but no element of a list; what is
// absent is as if empty.
func differences(should, is any, path string) []Difference {
	if empty(should) && empty(is) {
		return nil
	}
	switch s := should.(type) {
	case map[string]any:
		i, ok := is.(map[string]any)
		if !ok {
			break
		}
		var out []Difference
		for _, key := range slices.Sorted(maps.Keys(s)) {
			below := key
			if path != "" {
				below = path + "." + key
			}
			out = append(out, differences(s[key], i[key], below)...)
		}
		return out
	case []any:
		i, _ := is.([]any)
		var out []Difference
		for n := range max(len(s), len(i)) {
			at := fmt.Sprintf("%s[%d]", path, n)
			switch {
			case n >= len(i):
				out = append(out, Difference{at, "", short(s[n])})
			case n >= len(s):
				out = append(out, Difference{at, short(i[n]), ""})
			default:
				out = append(out, differences(s[n], i[n], at)...)
			}
		}
		return out
	case json.Number:
		a, okA := new(big.Rat).SetString(s.String())
		b, okB := new(big.Rat).SetString(text(is))
		if okA && okB && a.Cmp(b) == 0 {
			return nil
		}
	default:
		if should == is {
			return nil
		}
	}
	return []Difference{{path, short(is), short(should)}}
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// longestValue bounds what is shown of one value, in bytes.
const longestValue = 160

func short(v any) string {
	if v == nil {
		return ""
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "?"
	}
	out := strings.TrimSpace(b.String())
	if len(out) > longestValue {
		out = strings.ToValidUTF8(out[:longestValue], "") + "…"
	}
	return out
}
