package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var redactKey = []byte("a key that nobody else knows")

// hashOf is what a hashed value becomes, worked out apart.
func hashOf(value string) string {
	m := hmac.New(sha256.New, redactKey)
	m.Write([]byte(value))
	return "hash:" + hex.EncodeToString(m.Sum(nil))[:32]
}

const someone = `{"author":{"displayName":"Ana Ärger","accountId":"5ff3","publicName":"Ana Ärger","email":"Ana@Example.com"},` +
	`"remoteAddress":"10.0.0.1, 198.51.100.7","summary":"User ana@example.com added by Ana Ärger","category":"Users","n":5,` +
	`"description":"from 198.51.100.7:443 and 2001:db8::1. std::vector 1.2.3.4.5 at 10:20:30","changedValues":[{"name":"Email","newValue":"bob@example.org"},{"name":"Size","newValue":7}],` +
	`"message":{"content":"Ana Ärger","format":null}}`

// redactedLine is the line of someone's record, without our own fields that do
// not change.
func redactedLine(t *testing.T, drop, hash []string) map[string]json.RawMessage {
	t.Helper()
	x, err := NewRedaction(drop, hash, redactKey)
	if err != nil {
		t.Fatal(err)
	}
	o := confluenceOptions
	o.Redact = x
	r := Record{Raw: []byte(someone), Millis: theRun, Dated: true, Facts: cloudFacts([]byte(someone))}
	r.Facts.ActorEmail = spanOfValue(r.Raw, "author", "email")
	line, _ := Line(nil, r, "id", o)
	fields := fieldsOf(t, line)
	fields["record"] = fieldsOf(t, fields["atlassian"])["record"]
	for _, name := range []string{"atlassian", "timestamp", "ddsource", "ddtags", "service"} {
		delete(fields, name)
	}
	return fields
}

func TestRedaction(t *testing.T) {
	t.Parallel()
	const mailed, address = "ana@example.com", "198.51.100.7"
	for name, c := range map[string]struct {
		drop, hash []string
		// want are the fields that differ from those without redaction; "" is one
		// that is gone.
		want map[string]string
	}{
		"nothing changes where nothing is asked for": {},
		"a field is dropped, and the attribute made from it": {drop: []string{"remoteAddress"},
			want: map[string]string{"remoteAddress": "", "network": ""}},
		"a field is hashed, and the attribute with it, by the address that it would show": {hash: []string{"remoteAddress"},
			want: map[string]string{"remoteAddress": `"` + hashOf("10.0.0.1, 198.51.100.7") + `"`, "network": `{"client":{"ip":"` + hashOf(address) + `"}}`}},
		"the attribute takes its field along": {drop: []string{"network.client.ip"},
			want: map[string]string{"remoteAddress": `"[redacted]"`, "network": ""}},
		"every IP address goes": {drop: []string{RedactIPs}, want: map[string]string{
			"remoteAddress": `"[redacted], [redacted]"`, "network": "",
			"description": `"from [redacted]:443 and [redacted]. std::vector 1.2.3.4.5 at 10:20:30"`}},
		"every IP address is hashed, the same to the same": {hash: []string{RedactIPs}, want: map[string]string{
			"remoteAddress": `"` + hashOf("10.0.0.1") + ", " + hashOf(address) + `"`, "network": `{"client":{"ip":"` + hashOf(address) + `"}}`,
			"description": `"from ` + hashOf(address) + `:443 and ` + hashOf("2001:db8::1") + `. std::vector 1.2.3.4.5 at 10:20:30"`}},
		"every e-mail address goes": {drop: []string{RedactEmails}, want: map[string]string{
			"author":        `{"displayName":"Ana Ärger","accountId":"5ff3","publicName":"Ana Ärger","email":"[redacted]"}`,
			"usr":           `{"id":"5ff3","name":"Ana Ärger"}`,
			"summary":       `"User [redacted] added by Ana Ärger"`,
			"evt":           `{"name":"user_redacted_added_by_ana_ärger","outcome":"success","category":"users"}`,
			"changedValues": `[{"name":"Email","newValue":"[redacted]"},{"name":"Size","newValue":7}]`}},
		"every e-mail address is hashed, whatever its case": {hash: []string{RedactEmails}, want: map[string]string{
			"author":        `{"displayName":"Ana Ärger","accountId":"5ff3","publicName":"Ana Ärger","email":"` + hashOf(mailed) + `"}`,
			"usr":           `{"id":"5ff3","name":"Ana Ärger","email":"` + hashOf(mailed) + `"}`,
			"summary":       `"User ` + hashOf(mailed) + ` added by Ana Ärger"`,
			"evt":           `{"name":"user_` + strings.ReplaceAll(hashOf(mailed), ":", "_") + `_added_by_ana_ärger","outcome":"success","category":"users"}`,
			"changedValues": `[{"name":"Email","newValue":"` + hashOf("bob@example.org") + `"},{"name":"Size","newValue":7}]`}},
		"the actor's name goes wherever it is a whole value, not within a text": {drop: []string{"usr.name"}, want: map[string]string{
			"author": `{"displayName":"[redacted]","accountId":"5ff3","publicName":"[redacted]","email":"Ana@Example.com"}`,
			"usr":    `{"id":"5ff3","email":"Ana@Example.com"}`,
			"record": `{"message":{"content":"[redacted]","format":null}}`}},
		"the actor's id is hashed": {hash: []string{"usr.id"}, want: map[string]string{
			"author": `{"displayName":"Ana Ärger","accountId":"` + hashOf("5ff3") + `","publicName":"Ana Ärger","email":"Ana@Example.com"}`,
			"usr":    `{"id":"` + hashOf("5ff3") + `","name":"Ana Ärger","email":"Ana@Example.com"}`}},
		"a path leads through lists, and into what is moved aside": {drop: []string{"changedValues.newValue", "message.content"}, want: map[string]string{
			"changedValues": `[{"name":"Email"},{"name":"Size"}]`, "record": `{"message":{"format":null}}`}},
		"numbers are hashed, too, and whole objects leaf by leaf": {hash: []string{"changedValues", "message"}, want: map[string]string{
			"changedValues": `[{"name":"` + hashOf("Email") + `","newValue":"` + hashOf("bob@example.org") + `"},{"name":"` + hashOf("Size") + `","newValue":"` + hashOf("7") + `"}]`,
			"record":        `{"message":{"content":"` + hashOf("Ana Ärger") + `","format":null}}`}},
		"an object goes, and every attribute made from it": {drop: []string{"author"}, want: map[string]string{"author": "", "usr": ""}},
		"of a summary that is gone no name is made":        {drop: []string{"summary"}, want: map[string]string{"summary": "", "evt": `{"category":"users"}`}},
		"nor of one that is hashed":                        {hash: []string{"category"}, want: map[string]string{"category": `"` + hashOf("Users") + `"`, "evt": `{"name":"user_ana_example_com_added_by_ana_ärger","outcome":"success"}`}},
		"what is dropped and stands in what is hashed is dropped": {drop: []string{"author.email"}, hash: []string{"author"}, want: map[string]string{
			"author": `{"displayName":"` + hashOf("Ana Ärger") + `","accountId":"` + hashOf("5ff3") + `","publicName":"` + hashOf("Ana Ärger") + `"}`,
			"usr":    `{"id":"` + hashOf("5ff3") + `","name":"` + hashOf("Ana Ärger") + `"}`}},
		"a path that leads nowhere changes nothing": {drop: []string{"authors", "author.names", "n.m"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := redactedLine(t, nil, nil)
			for field, value := range c.want {
				if value == "" {
					delete(want, field)
				} else {
					want[field] = json.RawMessage(value)
				}
			}
			if d := cmp.Diff(texts(want), texts(redactedLine(t, c.drop, c.hash))); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func texts(m map[string]json.RawMessage) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[k] = string(v)
	}
	return out
}

func TestRedactionsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		drop, hash []string
		key        string
		want       string
	}{
		"a hash without a key":           {hash: []string{"summary"}, want: "without a key"},
		"dropped and hashed":             {drop: []string{"summary"}, hash: []string{"summary"}, key: "k", want: "both dropped and hashed"},
		"an empty path":                  {drop: []string{""}, want: "no path"},
		"an empty name":                  {drop: []string{"a..b"}, want: "no path"},
		"an index":                       {drop: []string{"changedValues[0]"}, want: "no path"},
		"a wildcard":                     {drop: []string{"*"}, want: "no path"},
		"an attribute that is not known": {drop: []string{"usr.phone"}, want: "can be redacted"},
		"what names the record":          {drop: []string{"atlassian.record_id"}, want: "can be redacted"},
	} {
		if _, err := NewRedaction(c.drop, c.hash, []byte(c.key)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestRedactionOfOddRecords: what has no fields keeps nothing that was asked for.
func TestRedactionOfOddRecords(t *testing.T) {
	t.Parallel()
	x, err := NewRedaction([]string{RedactEmails, "a"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]string{
		`["x@example.com",{"a":1,"b":2}]`: `["[redacted]",{"b":2}]`,
		` "x@example.com" `:               `"[redacted]"`,
		`7`:                               `7`,
		`{"a":`:                           `"[redacted]"`,
		``:                                `"[redacted]"`,
		`{"a":1,"\u0061":2,"b":"\u0078@example.com"}`: `{"b":"[redacted]"}`,
		`{ "b" : [ 1 , { "c" : "y" } ] }`:             `{"b":[1,{"c":"y"}]}`,
	} {
		if got := x.Raw(Record{Raw: []byte(raw)}); string(got) != want {
			t.Errorf("%s becomes %s, want %s", raw, got, want)
		}
	}
	deep := strings.Repeat(`{"b":[`, 4000) + `"x@example.com"` + strings.Repeat(`]}`, 4000)
	if got := x.Raw(Record{Raw: []byte(deep)}); !json.Valid(got) || bytes.Contains(got, []byte("x@example.com")) {
		t.Errorf("deep nesting becomes %.100s…", got)
	}
	var none *Redaction
	if got := none.Raw(Record{Raw: []byte(`{"a":1}`)}); string(got) != `{"a":1}` {
		t.Errorf("without a redaction the record becomes %s", got)
	}
}

// TestRedactionHidesAndHarmsNothing: what is dropped is nowhere in the line, and
// of everything else each byte stays.
func TestRedactionHidesAndHarmsNothing(t *testing.T) {
	t.Parallel()
	x, err := NewRedaction([]string{"secret", RedactEmails}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		rest := anyObject().Draw(t, "rest")
		r := Record{Raw: []byte(rest)}
		if got := x.Raw(r); !bytes.Contains(got, []byte("redacted")) && string(got) != compacted([]byte(rest)) {
			t.Fatalf("%s becomes %s", rest, got)
		}
		hidden := drawValue(t, 3)
		r = Record{Raw: []byte(`{"secret":{"x":["s3cr3t",` + hidden + `]},"rest":` + rest + `,"b":"s3cr3t@example.com"}`)}
		got := x.Raw(r)
		if !json.Valid(got) || bytes.Contains(got, []byte("s3cr3t")) {
			t.Fatalf("%s becomes %s", r.Raw, got)
		}
	})
}
