package pipeline

import (
	"strings"
	"testing"

	"github.com/DataDog/datadog-agent/comp/logs/agent/config"
	"github.com/DataDog/datadog-agent/pkg/logs/message"
	"github.com/DataDog/datadog-agent/pkg/logs/sources"
)

func compiled(t *testing.T, rules ...*config.ProcessingRule) []*config.ProcessingRule {
	t.Helper()
	if err := config.CompileProcessingRules(rules); err != nil {
		t.Fatal(err)
	}
	return rules
}

func TestJudge(t *testing.T) {
	t.Parallel()
	rule := func(kind, pattern string) *config.ProcessingRule {
		return &config.ProcessingRule{Type: kind, Name: "r", Pattern: pattern, ReplacePlaceholder: "xy"}
	}
	for name, tt := range map[string]struct {
		global, own []*config.ProcessingRule
		line        string
		want        Verdict
	}{
		"without rules a line is sent":             {nil, nil, "a", Sent},
		"what a rule excludes":                     {nil, compiled(t, rule(config.ExcludeAtMatch, "secret")), "a secret", Excluded},
		"what a rule of all excludes":              {compiled(t, rule(config.ExcludeAtMatch, "secret")), nil, "a secret", Excluded},
		"what no rule includes":                    {nil, compiled(t, rule(config.IncludeAtMatch, "b")), "a", Excluded},
		"what a rule includes":                     {nil, compiled(t, rule(config.IncludeAtMatch, "a")), "a", Sent},
		"what is masked is sent":                   {nil, compiled(t, rule(config.MaskSequences, "a")), "a", Sent},
		"masking comes before what follows it":     {nil, compiled(t, rule(config.MaskSequences, "a"), rule(config.ExcludeAtMatch, "xy")), "a", Excluded},
		"a line that fits, whatever JSON makes it": {nil, nil, strings.Repeat("\x01", 100), Sent},
		"a line that JSON makes too large":         {nil, nil, strings.Repeat("\x01", 7000), TooLarge},
		"a line that is too large":                 {nil, nil, strings.Repeat("a", 40000), TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJudge(tt.global, "host", 40000)
			source := sources.NewLogSource("s", &config.LogsConfig{ProcessingRules: tt.own})
			m := message.NewMessage([]byte(tt.line), message.NewOrigin(source), message.StatusInfo, 1)
			for range 2 { // it can be asked again
				if got := j.of(t.Context(), m); got != tt.want {
					t.Errorf("the verdict is %d, want %d", got, tt.want)
				}
			}
			if string(m.GetContent()) != tt.line || m.State != message.StateUnstructured {
				t.Error("the message was changed")
			}
		})
	}
}
