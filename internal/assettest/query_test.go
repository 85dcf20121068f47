package assettest

import (
	"strings"
	"testing"
	"time"
)

func TestQuery(t *testing.T) {
	t.Parallel()
	l := Log{
		Attributes: map[string]any{
			"usr":     map[string]any{"id": "712020:a", "name": "Ana Ärger"},
			"n":       7,
			"changes": []any{map[string]any{"to": "ON"}, map[string]any{"to": "Administer Jira"}},
			"empty":   map[string]any{},
		},
		Tags: []string{"site:a.example", "team:x"}, Source: "jira-audit-records", Service: "jira", Status: "notice", Message: "User added to group", Time: time.Now(),
	}
	for query, want := range map[string]bool{
		``:                          true,
		`*`:                         true,
		`source:jira-audit-records`: true,
		`source:(confluence-audit-records OR jira-audit-records)`: true,
		`source:jira`:                      false,
		`source:jira*`:                     true,
		`@usr.id:"712020:a"`:               true,
		`@usr.id:712020\:a`:                true,
		`@usr.id:*`:                        true,
		`@usr.email:*`:                     false,
		`-@usr.email:*`:                    true,
		`NOT @usr.email:*`:                 true,
		`@usr.name:ana*`:                   false,
		`@usr.name:"Ana Ärger"`:            true,
		`@usr.name:"Ana*"`:                 false,
		`@usr.name:Ana*ger`:                true,
		`@usr.name:*n*r*`:                  true,
		`@usr.name:*r*n*`:                  false,
		`@changes.to:ON`:                   true,
		`@changes.to:"Administer Jira"`:    true,
		`@changes.to:(OFF OR *Jira)`:       true,
		`@changes.to:(ON AND *Jira)`:       true,
		`-@changes.to:ON`:                  false,
		`@changes.to:-OFF`:                 false,
		`@n:>6`:                            true,
		`@n:>=7 @n:<8`:                     true,
		`@n:[1 TO 6]`:                      false,
		`@n:7`:                             true,
		`site:a.example team:x`:            true,
		`site:b.example OR team:x`:         true,
		`site:b.example team:x`:            false,
		`service:jira -(team:y OR team:x)`: false,
		`service:jira -(team:y OR team:z)`: true,
		`team:y OR team:x service:nothing`: false,
		`status:notice added`:              true,
		`"added to"`:                       true,
		`removed`:                          false,
		`@empty:*`:                         false,
		`@usr:*`:                           true,
	} {
		q, err := ParseQuery(query)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := q.Match(&l); got != want {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
}

func TestQueriesThatAreRefused(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		`source:(a OR b`: "not closed",
		`source:a)`:      "left at",
		`source:`:        "no value",
		`"a`:             "quote is not closed",
		`@n:[1 TO`:       "range is not closed",
		`@n:[1 UNTIL 2]`: "no range",
		`@n:>x`:          "no bound",
		`a OR`:           "ends too early",
		`:x`:             "behind nothing",
		`a:(b OR c:d)`:   "within the values",
		`source:a $site`: "template variable",
	} {
		if _, err := ParseQuery(query); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", query, err, want)
		}
	}
}
