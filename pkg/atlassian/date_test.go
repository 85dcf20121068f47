package atlassian

import (
	"encoding/json"
	"testing"
	"time"
)

func TestParseDate(t *testing.T) {
	t.Parallel()
	want := at(t, "2022-01-06T09:49:07.418Z").UnixMilli()
	whole := at(t, "2022-01-06T09:49:07Z").UnixMilli()
	for name, tc := range map[string]struct {
		raw  string
		want int64
		ok   bool
	}{
		"Jira's own form, without a colon in the zone": {`"2022-01-06T09:49:07.418+0000"`, want, true},
		"Z":                                   {`"2022-01-06T09:49:07.418Z"`, want, true},
		"a zone with a colon":                 {`"2022-01-06T09:49:07.418+00:00"`, want, true},
		"a zone of hours alone":               {`"2022-01-06T09:49:07.418+00"`, want, true},
		"a zone in the east":                  {`"2022-01-06T15:19:07.418+05:30"`, want, true},
		"a zone in the west":                  {`"2022-01-05T23:49:07.418-1000"`, want, true},
		"no zone is UTC":                      {`"2022-01-06T09:49:07.418"`, want, true},
		"a blank for the T":                   {`"2022-01-06 09:49:07.418 +0000"`, want, true},
		"no fraction":                         {`"2022-01-06T09:49:07+0000"`, whole, true},
		"no seconds":                          {`"2022-01-06T09:49Z"`, at(t, "2022-01-06T09:49:00Z").UnixMilli(), true},
		"one digit of a fraction":             {`"2022-01-06T09:49:07.4Z"`, whole + 400, true},
		"microseconds are cut, not rounded":   {`"2022-01-06T09:49:07.418999Z"`, want, true},
		"nanoseconds are cut":                 {`"2022-01-06T09:49:07.418999999Z"`, want, true},
		"escapes inside the text":             {`"2022-01-06T09\u003a49:07.418Z"`, want, true},
		"blanks around":                       {`" 2022-01-06T09:49:07.418Z "`, want, true},
		"epoch milliseconds":                  {`1641462547418`, want, true},
		"epoch milliseconds as a string":      {`"1641462547418"`, want, true},
		"epoch milliseconds with an exponent": {`1.641462547418E12`, want, true},
		"epoch milliseconds with a fraction":  {`1641462547418.9`, want, true},
		"before the epoch":                    {`"1969-12-31T23:59:59.999Z"`, -1, true},
		"the 29th of a leap year's February":  {`"2024-02-29T00:00:00Z"`, at(t, "2024-02-29T00:00:00Z").UnixMilli(), true},
		"the 29th of another year's February": {`"2023-02-29T00:00:00Z"`, 0, false},
		"a thirteenth month":                  {`"2022-13-06T09:49:07Z"`, 0, false},
		"a 25th hour":                         {`"2022-01-06T25:49:07Z"`, 0, false},
		"a date alone":                        {`"2022-01-06"`, 0, false},
		"a word":                              {`"yesterday"`, 0, false},
		"an empty text":                       {`""`, 0, false},
		"something after the zone":            {`"2022-01-06T09:49:07Zx"`, 0, false},
		"a point without digits":              {`"2022-01-06T09:49:07.Z"`, 0, false},
		"a number beyond every year":          {`99999999999999999999`, 0, false},
		"a hexadecimal number in a text":      {`"0x10"`, 0, false},
		"infinity":                            {`"Inf"`, 0, false},
		"null":                                {`null`, 0, false},
		"true":                                {`true`, 0, false},
		"an object":                           {`{"epochSecond":1}`, 0, false},
		"nothing":                             {``, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := parseDate([]byte(tc.raw))
			if ok != tc.ok || ok && got != tc.want {
				t.Errorf("%s read as %d, %v; want %d, %v", tc.raw, got, ok, tc.want, tc.ok)
			}
		})
	}
}

// FuzzParseDate: no text panics, what is read lies within the years 1 to 9999,
// and what RFC 3339 calls a date is read as package time reads it.
func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"2022-01-06T09:49:07.418+0000", "2022-01-06T09:49:07.999999999-23:59", "1641462547418", "-1", "1e400", "2022-02-30T00:00:00Z", "9999-12-31T23:59:59-23:59"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		raw, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		ms, ok := parseDate(raw)
		if ok && (ms < minMillis || ms > maxMillis) {
			t.Fatalf("%q read as %d", text, ms)
		}
		want, err := time.Parse(time.RFC3339, text)
		if err != nil || want.UnixMilli() < minMillis || want.UnixMilli() > maxMillis || want.Year() < 1 {
			return
		}
		if !ok || ms != want.UnixMilli() {
			t.Fatalf("%q read as %d, %v; package time says %d", text, ms, ok, want.UnixMilli())
		}
	})
}

// TestDaysAreThoseOfTheCalendar of package time, in every month that is believed.
func TestDaysAreThoseOfTheCalendar(t *testing.T) {
	t.Parallel()
	for year := 1; year <= 9999; year++ {
		for month := 1; month <= 12; month++ {
			first := time.Date(year, time.Month(month), 1, 0, 0, 0, 0, time.UTC)
			if got, want := daysBefore(year, month), first.Unix()/86_400; got != want {
				t.Fatalf("%d-%d begins %d days after the epoch, want %d", year, month, got, want)
			}
			if got, want := daysIn(year, month), first.AddDate(0, 1, -1).Day(); got != want {
				t.Fatalf("%d-%d has %d days, want %d", year, month, got, want)
			}
		}
	}
}
