package atlassian

import (
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
)

const entity = `{"timestamp":"2021-11-22T00:08:34.543Z",` +
	`"author":{"name":"test.user","type":"ApplicationUser","id":"10000","uri":"http://jira.internal:8088/secure/ViewProfile.jspa?name=test.user","avatarUri":""},` +
	`"type":{"categoryI18nKey":"jira.auditing.category.projects","category":"projects","actionI18nKey":"jira.auditing.version.created","action":"Project version created"},` +
	`"affectedObjects":[{"name":"Version 2.0","type":"VERSION","uri":"http://jira.internal:8088/a","id":"10001"},{"name":"test","type":"PROJECT","uri":"http://jira.internal:8088/b","id":"10000"}],` +
	`"changedValues":[{"key":"Name","i18nKey":"common.words.name","to":"Version 2.0"},{"key":"Release date","i18nKey":"version.releasedate","to":"2021-11-28"}],` +
	`"source":"10.50.33.72,192.0.2.10","system":"http://jira.internal:8088","node":"node-1","method":"Browser",` +
	`"extraAttributes":[{"nameI18nKey":"a.b","name":"A","value":"1"},{"nameI18nKey":"a.c","name":"C","value":"2"}]}`

func decodeEntity(t *testing.T, text string) audit.Record {
	t.Helper()
	records, _, err := decodePage([]byte(`{"entities":[`+text+`],"pagingInfo":{"lastPage":true,"size":1}}`), entityLayout(), 1)
	if err != nil || len(records) != 1 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	return records[0]
}

func TestEntitiesAreToldApartByWhatDoesNotChange(t *testing.T) {
	t.Parallel()
	was := decodeEntity(t, entity)
	if !was.Dated || was.Time().Format("2006-01-02T15:04:05.000") != "2021-11-22T00:08:34.543" || was.ID != "" || string(was.Raw) != entity {
		t.Fatalf("read as %+v", was)
	}
	for name, row := range map[string]struct {
		old, now     string
		coarse, fine bool // whether they stay
	}{
		"labels in another language":           {`"action":"Project version created"`, `"action":"Projektversion erstellt"`, true, true},
		"a category in another language":       {`"category":"projects"`, `"category":"Projekte"`, true, true},
		"a label of a changed value":           {`"key":"Name"`, `"key":"Nom"`, true, true},
		"a renamed author":                     {`"name":"test.user"`, `"name":"other.user"`, true, true},
		"another base URL":                     {`http://jira.internal:8088`, `https://jira.example.com`, true, true},
		"no node":                              {`"node":"node-1",`, ``, true, true},
		"a former value that was empty":        {`"to":"Version 2.0"`, `"from":"","to":"Version 2.0"`, true, true},
		"a former value that was null":         {`"to":"Version 2.0"`, `"from":null,"to":"Version 2.0"`, true, true},
		"an escaped letter":                    {`"to":"Version 2.0"`, `"to":"\u0056ersion 2.0"`, true, true},
		"white space":                          {`,"method"`, ` , "method"`, true, true},
		"attributes in another order":          {`{"nameI18nKey":"a.b","name":"A","value":"1"},{"nameI18nKey":"a.c","name":"C","value":"2"}`, `{"nameI18nKey":"a.c","name":"C","value":"2"},{"nameI18nKey":"a.b","name":"A","value":"1"}`, true, true},
		"another value":                        {`"value":"1"`, `"value":"3"`, true, false},
		"another object":                       {`"id":"10001"`, `"id":"10002"`, true, false},
		"an object of another name":            {`"name":"Version 2.0"`, `"name":"Version 2.1"`, true, false},
		"another method":                       {`"Browser"`, `"System"`, true, false},
		"a field that nobody knows":            {`"method"`, `"risk":9,"method"`, true, false},
		"another author":                       {`"id":"10000","uri":"http://jira.internal:8088/secure`, `"id":"10009","uri":"http://jira.internal:8088/secure`, false, true},
		"another action":                       {`version.created`, `version.deleted`, false, true},
		"another address":                      {`10.50.33.72`, `10.50.33.73`, false, true},
		"another millisecond":                  {`34.543Z`, `34.544Z`, false, true},
		"the same time written in another way": {`2021-11-22T00:08:34.543Z`, `2021-11-22T01:08:34.543+01:00`, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(entity, row.old) {
				t.Fatalf("%s is not in the entity", row.old)
			}
			got := decodeEntity(t, strings.ReplaceAll(entity, row.old, row.now))
			if coarse := got.Keys.Coarse == was.Keys.Coarse; coarse != row.coarse {
				t.Errorf("the coarse key stays: %t", coarse)
			}
			if fine := got.Keys.Fine == was.Keys.Fine; fine != row.fine {
				t.Errorf("the fine key stays: %t", fine)
			}
			if same := got.Keys.Fingerprint == was.Keys.Fingerprint; same != (row.coarse && row.fine) {
				t.Errorf("the record_id stays: %t", same)
			}
		})
	}
}

func TestALineOfTheFilesIsTheSameRecordAsTheEntity(t *testing.T) {
	t.Parallel()
	c := atlassiantest.NewCorpus(3)
	s := atlassiantest.New(atlassiantest.Options{Seed: 3, DataCenter: &atlassiantest.DataCenter{}})
	for i := range 300 {
		at := logStart.Add(time.Duration(i) * 1234567 * time.Microsecond)
		s.Add("jira", c.Entity("jira", at))
		s.Add("confluence", c.Entity("confluence", at))
	}
	for _, product := range []string{"jira", "confluence"} {
		for _, r := range s.Records(product) {
			api, file := decodeEntity(t, string(r.Raw)), decodeLine(atlassiantest.LogLine(r.Raw))
			if api.Keys != file.Keys || api.Millis != file.Millis || !file.Dated {
				t.Fatalf("%+v and %+v are two records:\n%s\n%s", api.Keys, file.Keys, api.Raw, file.Raw)
			}
		}
	}
}

func TestEntityDates(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		`"2021-11-22T00:34:23.154Z"`:                      1637541263154,
		`{"epochSecond":1637539508,"nano":514000000}`:     1637539508514,
		`{"epochSecond":1637539508,"nano":514999999}`:     1637539508514,
		`{"epochSecond":1637539508}`:                      1637539508000,
		`{"nano":1,"epochSecond":-1}`:                     -1000,
		`{"epochSecond":"1637539508","nano":1}`:           0,
		`{"epochSecond":1637539508,"nano":1000000000}`:    0,
		`{"epochSecond":1637539508,"nano":-1}`:            0,
		`{"epochSecond":99999999999999,"nano":1}`:         0,
		`{"epochSecond":9223372036854775807123,"nano":1}`: 0,
		`{}`:     0,
		`null`:   0,
		`"soon"`: 0,
	} {
		got, ok := entityDate([]byte(text))
		if ok != (want != 0) || ok && got != want {
			t.Errorf("%s is %d, %t, want %d", text, got, ok, want)
		}
	}
}
