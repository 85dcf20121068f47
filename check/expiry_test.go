package check

import (
	"slices"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/auth"
)

// A token that says that it ends on 2000-02-01T00:00:00Z.
const datedToken = "eyJhbGciOiJub25lIn0.eyJleHAiOjk0OTM2MzIwMH0.c2ln"

func TestTheEarlierOfWhatTheOperatorAndTheTokenSayCounts(t *testing.T) {
	t.Parallel()
	at := func(text string) time.Time {
		d, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, tt := range []struct {
		name string
		auth Auth
		want string
	}{
		{"nobody says", Auth{Type: APIToken, APIToken: "plain"}, ""},
		{"the operator says", Auth{Type: ServiceAccount, ClientSecret: "plain", Expires: at("2027-03-01")}, "expires on 2027-03-01"},
		{"the token says", Auth{Type: APIToken, APIToken: datedToken}, "expires on 2000-02-01"},
		{"the token says less", Auth{Type: APIToken, APIToken: datedToken, Expires: at("2000-03-01")}, "expires on 2000-02-01"},
		{"the token says more", Auth{Type: APIToken, APIToken: datedToken, Expires: at("2000-01-20")}, "expires on 2000-01-20"},
	} {
		c := &Config{Auth: tt.auth}
		if got, _, _ := strings.Cut(c.ExpiryShown(at("2000-01-01")), ","); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if got, ok := auth.TokenExpiry(datedToken); !ok || !got.Equal(at("2000-02-01")) {
		t.Errorf("the token says %s", got)
	}
}

func TestACredentialThatEndsIsTold(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		expires string // the run is at 2000-01-01T00:01
		revoked bool
		want    string
		message string
	}{
		{"it is far away", "2000-02-01", false, "can_connect jira OK", ""},
		{"it is 30 days away", "2000-01-31", false, "can_connect jira WARNING", "the credential expires on 2000-01-31, in 29 days: create a new one in time"},
		{"it is less than a day away", "2000-01-01T12:00:00Z", false, "can_connect jira WARNING", "the credential expires on 2000-01-01T12:00:00Z, in less than a day"},
		{"it is past, although Atlassian still takes it", "1999-12-30", false, "can_connect jira CRITICAL", "the credential expired on 1999-12-30, 2 days ago: create a new one"},
		{"it is near, and Atlassian refuses it", "2000-01-31", true, "can_connect jira CRITICAL", "; the credential expires on 2000-01-31, in 29 days"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world) {
				if row.revoked {
					w.server.Revoke(atlassiantest.Classic)
				}
				c := w.config(strings.Replace(classicAuth, "{", "{expires: "+row.expires+", ", 1))
				_, rec := w.runOnce(c)
				short, messages := states(rec)
				if !slices.Contains(short, row.want) || !strings.Contains(messages["can_connect jira"], row.message) || row.message == "" && messages["can_connect jira"] != "" {
					t.Errorf("%v: %q", short, messages["can_connect jira"])
				}
				warned := slices.ContainsFunc(rec.Warnings, func(s string) bool { return strings.HasPrefix(s, "example.atlassian.net: the credential expire") })
				if warned != (row.message != "") {
					t.Errorf("warnings: %v", rec.Warnings)
				}
				at, _ := c.Expires()
				if left, ok := metric(rec, MetricExpiresIn, ""); !ok || left != time.Until(at).Seconds() {
					t.Errorf("the metric says %v, which is %t", left, ok)
				}
			})
		})
	}
}

func TestWhereTheEndIsUnknownNothingIsSaidOfIt(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		_, rec := w.runWell(w.config(classicAuth))
		if _, ok := metric(rec, MetricExpiresIn, ""); ok || len(rec.Warnings) > 0 {
			t.Errorf("the metric is sent: %t; warnings: %v", ok, rec.Warnings)
		}
		for _, p := range []audit.Product{audit.Jira, audit.Confluence} {
			if _, ok := metric(rec, MetricLag, p); !ok {
				t.Errorf("no lag of %s", p)
			}
		}
	})
}
