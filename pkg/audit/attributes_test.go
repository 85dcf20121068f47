package audit

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// spanOfValue is where the value of a field of the object raw stands, by a
// path of names; none where there is no such field.
func spanOfValue(raw []byte, path ...string) (s Span) {
	eachField(raw, func(f span, _ bool) {
		switch {
		case string(decodeString(raw[f.key:f.keyEnd])) != path[0]:
		case len(path) == 1:
			s = Span{From: int32(f.value), To: int32(f.valueEnd)}
		default:
			if inner := spanOfValue(raw[f.value:f.valueEnd], path[1:]...); inner.To > 0 {
				s = Span{From: int32(f.value) + inner.From, To: int32(f.value) + inner.To}
			}
		}
	})
	return s
}

// cloudFacts are the facts of a Jira or Confluence Cloud record.
func cloudFacts(raw []byte) Facts {
	f := Facts{
		ActorID:  spanOfValue(raw, "authorAccountId"),
		Address:  spanOfValue(raw, "remoteAddress"),
		Action:   spanOfValue(raw, "summary"),
		Category: spanOfValue(raw, "category"),
	}
	if f.ActorID.To == 0 {
		f.ActorID = spanOfValue(raw, "author", "accountId")
	}
	f.ActorName = spanOfValue(raw, "author", "displayName")
	return f
}

// recordOf is a record of these facts, each a JSON value or "".
func recordOf(id, name, email, address, action, category string) Record {
	var r Record
	raw := []byte(`{`)
	put := func(field, value string, s *Span) {
		if value == "" {
			return
		}
		if len(raw) > 1 {
			raw = append(raw, ',')
		}
		raw = append(append(raw, '"'), field...)
		raw = append(raw, `":`...)
		*s = Span{From: int32(len(raw)), To: int32(len(raw) + len(value))}
		raw = append(raw, value...)
	}
	put("id", id, &r.Facts.ActorID)
	put("name", name, &r.Facts.ActorName)
	put("mail", email, &r.Facts.ActorEmail)
	put("address", address, &r.Facts.Address)
	put("action", action, &r.Facts.Action)
	put("kind", category, &r.Facts.Category)
	r.Raw = append(raw, '}')
	return r
}

// attributesOf are usr, network and evt of the record's line.
func attributesOf(t testing.TB, r Record) map[string]string {
	t.Helper()
	line, _ := Line(nil, r, "x", jiraOptions)
	out := map[string]string{}
	for name, value := range fieldsOf(t, line) {
		if name == "usr" || name == "network" || name == "evt" {
			out[name] = string(value)
		}
	}
	return out
}

func TestAttributesOfALine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		record Record
		want   map[string]string
	}{
		"a record that says nothing has none": {Record{Raw: []byte(`{"a":1}`)}, map[string]string{}},
		"a record that says everything has all": {
			recordOf(`"557058:a"`, `"Ana \"A\" Ärger"`, `"ana@example.com"`, `"198.51.100.7"`, `"User added to group"`, `"Users and groups"`),
			map[string]string{
				"usr":     `{"id":"557058:a","name":"Ana \"A\" Ärger","email":"ana@example.com"}`,
				"network": `{"client":{"ip":"198.51.100.7"}}`,
				"evt":     `{"name":"user_added_to_group","outcome":"success","category":"users_and_groups"}`,
			},
		},
		"the system has a name and no id":  {recordOf("", `"System"`, "", "", "", ""), map[string]string{"usr": `{"name":"System"}`}},
		"a number as an id becomes a text": {recordOf("10000", "", "", "", "", ""), map[string]string{"usr": `{"id":"10000"}`}},
		"a category alone is a category":   {recordOf("", "", "", "", "", `"permissions"`), map[string]string{"evt": `{"category":"permissions"}`}},
		"a summary without letters has no name": {
			recordOf("", "", "", "", `"-- !"`, `"?"`), map[string]string{},
		},
		"a name as long as a book is cut at a character": {
			recordOf("", `"`+strings.Repeat("é", 2000)+`"`, "", "", "", ""),
			map[string]string{"usr": `{"name":"` + strings.Repeat("é", 511) + `"}`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, attributesOf(t, c.record)); diff != "" {
				t.Errorf("attributes differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEventName(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ action, want, outcome string }{
		"words are joined in lower case":                         {"User added to group", "user_added_to_group", "success"},
		"an apostrophe is nothing, also the typographic one":     {"User's password changed for O’Neil", "users_password_changed_for_oneil", "success"},
		"punctuation and space are one separator":                {" Active / Inactive -- (set)! ", "active_inactive_set", "success"},
		"a name of Jira Data Center is the one of Jira Cloud":    {"jira.auditing.user.added.to.group", "user_added_to_group", "success"},
		"a name of Confluence Data Center loses its prefix":      {"audit.logging.summary.space.config.updated", "space_config_updated", "success"},
		"a name of the audit log itself loses its prefix":        {"atlassian.audit.event.action.audit.config.updated", "audit_config_updated", "success"},
		"a name that an app brings loses its prefix":             {"personal.access.tokens.audit.log.summary.token.created", "token_created", "success"},
		"a key without a known word stays whole":                 {"com.example.thing.done", "com_example_thing_done", "success"},
		"a key that ends with the word stays whole":              {"jira.auditing", "jira_auditing", "success"},
		"a category's key loses its prefix":                      {"jira.auditing.category.usermanagement", "usermanagement", "success"},
		"the other product's, too":                               {"audit.logging.category.auth", "auth", "success"},
		"a sentence with a full stop is no key":                  {"Group created. Done", "group_created_done", "success"},
		"a snake is a snake":                                     {"user_logged_in_as_user", "user_logged_in_as_user", "success"},
		"letters of other scripts stay":                          {"Проект создан", "проект_создан", "success"},
		"an accent stays with its letter":                        {"Schéma mis à jour", "schéma_mis_à_jour", "success"},
		"failed is a failure":                                    {"User login failed", "user_login_failed", "failure"},
		"a failed login on Data Center, too":                     {"audit.logging.summary.login.failed", "login_failed", "failure"},
		"a failover is none":                                     {"Failover finished", "failover_finished", "success"},
		"what is written escaped is the same":                    {`User\u0020added\u0020to group`, "user_added_to_group", "success"},
		"a surrogate pair is no letter":                          {`Space \ud83d\ude00 created`, "space_created", "success"},
		"an endless text ends":                                   {strings.Repeat("a", 300), strings.Repeat("a", 128), "success"},
		"an endless text of long letters ends at a whole letter": {strings.Repeat("日", 300), strings.Repeat("日", 42), "success"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := attributesOf(t, recordOf("", "", "", "", `"`+c.action+`"`, ""))
			want := map[string]string{"evt": `{"name":"` + c.want + `","outcome":"` + c.outcome + `"}`}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given, want string
		inside      bool
	}{
		"one address":                               {"198.51.100.7", "198.51.100.7", false},
		"the first public one of a list":            {"10.83.76.139, 198.51.100.7, 203.0.113.9", "198.51.100.7", false},
		"a port is left out":                        {"198.51.100.7:51234", "198.51.100.7", false},
		"IPv6":                                      {"2001:DB8:0:0::1", "2001:db8::1", false},
		"IPv6 with a port":                          {"[2001:db8::1]:443", "2001:db8::1", false},
		"IPv6 in brackets":                          {"[2001:db8::1]", "2001:db8::1", false},
		"a zone is left out":                        {"2001:db8::1%eth0", "2001:db8::1", false},
		"IPv4 within IPv6":                          {"::ffff:198.51.100.7", "198.51.100.7", false},
		"private within IPv6 is private":            {"::ffff:10.0.0.1", "", false},
		"private ones alone are none":               {"10.0.0.1,192.168.1.1,172.16.0.1,fd00::1", "", false},
		"on Data Center the first private one is":   {"10.0.0.1,192.168.1.1", "10.0.0.1", true},
		"on Data Center, too, a public one is more": {"10.0.0.1,198.51.100.7", "198.51.100.7", true},
		"this machine, the link, the carrier and all others are private": {
			"127.0.0.1,::1,fe80::1,169.254.1.1,100.64.0.1,0.0.0.0,255.255.255.255,224.0.0.1", "", false},
		"a neighbour of the carrier's is not":   {"100.128.0.1", "100.128.0.1", false},
		"what is no address is passed over":     {"unknown, , 1.2.3, 1.2.3.4.5, 256.1.1.1, 1.2.3.04, -, 198.51.100.7", "198.51.100.7", false},
		"nothing is nothing":                    {" ", "", false},
		"an address may be written escaped":     {`198.51\u002e100.7`, "198.51.100.7", false},
		"white space around an address is none": {"\\t198.51.100.7\\n", "198.51.100.7", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := recordOf("", "", "", `"`+c.given+`"`, "", "")
			r.Facts.Inside = c.inside
			want := map[string]string{}
			if c.want != "" {
				want["network"] = `{"client":{"ip":"` + c.want + `"}}`
			}
			if diff := cmp.Diff(want, attributesOf(t, r)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestAttributesOfAnyText: whatever stands in a record, the line stays JSON
// and its attributes are bounded.
func TestAttributesOfAnyText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := recordOf(drawString(t), drawString(t), drawString(t), drawString(t), drawString(t), drawString(t))
		line, _ := Line(nil, r, "x", jiraOptions)
		if !json.Valid(line) {
			t.Fatalf("not JSON: %q", line)
		}
	})
}

func FuzzAttributes(f *testing.F) {
	f.Add([]byte(`"User added"`), []byte(`"10.0.0.1, [::1]:4"`))
	f.Add([]byte(`"jira.auditing..a."`), []byte(`"1.1.1.1%"`))
	f.Fuzz(func(t *testing.T, text, address []byte) {
		if !json.Valid(text) || !json.Valid(address) || text[0] != '"' || address[0] != '"' {
			return
		}
		r := recordOf(string(text), string(text), string(text), string(address), string(text), string(text))
		line, info := Line(nil, r, "x", jiraOptions)
		if info.Truncated != nil {
			return
		}
		var got struct {
			Usr struct{ ID, Name, Email string }
			Evt struct{ Name, Category, Outcome string }
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if len(got.Evt.Name) > maxSlug || strings.Contains(got.Evt.Name, "__") || strings.Trim(got.Evt.Name, "_") != got.Evt.Name || !utf8.ValidString(got.Evt.Name) {
			t.Fatalf("evt.name = %q", got.Evt.Name)
		}
		var whole string
		if err := json.Unmarshal(text, &whole); err == nil && len(text) < maxAttribute && got.Usr.Name != whole {
			t.Fatalf("usr.name = %q, want %q", got.Usr.Name, whole)
		}
	})
}

func TestNamesOfOursAreMovedAside(t *testing.T) {
	t.Parallel()
	line, _ := Line(nil, Record{Raw: []byte(`{"usr":{"id":1},"network":null,"\u0065vt":"x","event":2}`)}, "x", jiraOptions)
	got := fieldsOf(t, line)
	if _, ok := got["event"]; !ok {
		t.Errorf("event is not at the top level: %s", line)
	}
	want := `{"usr":{"id":1},"network":null,"\u0065vt":"x"}`
	if record := fieldsOf(t, got["atlassian"])["record"]; !bytes.Equal(record, []byte(want)) {
		t.Errorf("atlassian.record = %s, want %s", record, want)
	}
}

// register is a Names that also counts the questions.
type register struct {
	people map[string]Person
	asked  []string
}

func (r *register) Person(id []byte) (Person, bool) {
	r.asked = append(r.asked, string(id))
	p, ok := r.people[string(id)]
	return p, ok
}

func TestNamesFillInWhatTheRecordDoesNotSay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		record Record
		want   string
		asked  []string
	}{
		"who is known by the id alone":              {recordOf(`"a"`, "", "", "", "", ""), `{"id":"a","name":"Ana \"A\"","email":"ana@example.com"}`, []string{"a"}},
		"the record's own name counts":              {recordOf(`"a"`, `"A."`, "", "", "", ""), `{"id":"a","name":"A.","email":"ana@example.com"}`, []string{"a"}},
		"who says everything is not asked about":    {recordOf(`"a"`, `"A."`, `"a@b.c"`, "", "", ""), `{"id":"a","name":"A.","email":"a@b.c"}`, nil},
		"who hides the address has none":            {recordOf(`"b"`, "", "", "", "", ""), `{"id":"b","name":"Ben"}`, []string{"b"}},
		"who is known to be unknown stays so":       {recordOf(`"c"`, "", "", "", "", ""), `{"id":"c"}`, []string{"c"}},
		"who is not known stays an id":              {recordOf(`"d"`, "", "", "", "", ""), `{"id":"d"}`, []string{"d"}},
		"the system has no id to ask for":           {recordOf("", `"System"`, "", "", "", ""), `{"name":"System"}`, nil},
		"an id that is written escaped is the same": {recordOf(`"\u0061"`, "", "", "", "", ""), `{"id":"\u0061","name":"Ana \"A\"","email":"ana@example.com"}`, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &register{people: map[string]Person{"a": {Name: `Ana "A"`, Email: "ana@example.com"}, "b": {Name: "Ben"}, "c": {}}}
			o := jiraOptions
			o.Names = r
			line, _ := Line(nil, c.record, "x", o)
			if got := string(fieldsOf(t, line)["usr"]); got != c.want {
				t.Errorf("usr = %s, want %s", got, c.want)
			}
			if d := cmp.Diff(c.asked, r.asked); d != "" {
				t.Errorf("asked (-want +got):\n%s", d)
			}
		})
	}
}
