package collect_test

import (
	"fmt"
	"io/fs"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// fault is one way in which an answer goes wrong.
type fault struct {
	action atlassiantest.Action
	// pretends: the answer looks good and lacks what it should hold, or holds
	// what no record is, so that only a reconcile may tell.
	pretends bool
	// alters: a record comes with another date or id, and so as another one.
	alters bool
}

var faults = map[string]fault{
	"a rate limit":                       {action: atlassiantest.RateLimit(5*time.Minute, atlassiantest.RetrySeconds)},
	"a short rate limit":                 {action: atlassiantest.RateLimit(time.Second, atlassiantest.RetrySeconds)},
	"a rate limit until a date":          {action: atlassiantest.RateLimit(5*time.Minute, atlassiantest.RetryDate)},
	"a rate limit until a reset":         {action: atlassiantest.RateLimit(5*time.Minute, atlassiantest.RetryReset)},
	"a rate limit without an end":        {action: atlassiantest.RateLimit(5*time.Minute, atlassiantest.RetryUnsaid)},
	"unavailable for a while":            {action: atlassiantest.Unavailable(5*time.Minute, atlassiantest.RetryXHeader)},
	"status 500":                         {action: atlassiantest.ServerError(500)},
	"status 502":                         {action: atlassiantest.ServerError(502)},
	"status 504":                         {action: atlassiantest.ServerError(504)},
	"status 400":                         {action: atlassiantest.Answer(400, `{"errorMessages":["no"]}`)},
	"status 401":                         {action: atlassiantest.Answer(401, ``)},
	"status 403":                         {action: atlassiantest.Answer(403, `{}`)},
	"status 404":                         {action: atlassiantest.Answer(404, `{}`)},
	"status 204":                         {action: atlassiantest.Answer(204, ``)},
	"a connection reset":                 {action: atlassiantest.Reset()},
	"a connection closed":                {action: atlassiantest.Close()},
	"no answer":                          {action: atlassiantest.Hang()},
	"a slow answer":                      {action: atlassiantest.Slow(20 * time.Second)},
	"an answer in small pieces":          {action: atlassiantest.Drip(100, 10*time.Millisecond)},
	"an answer in pieces that never end": {action: atlassiantest.Drip(10, 5*time.Second)},
	"an answer broken off at once":       {action: atlassiantest.Truncate(0)},
	"an answer broken off":               {action: atlassiantest.Truncate(0.7)},
	"an answer that ends early":          {action: atlassiantest.TruncateQuietly(0.7)},
	"an answer that ends after a byte":   {action: atlassiantest.TruncateQuietly(0.0001)},
	"a compressed answer":                {action: atlassiantest.Gzip()},
	"a huge answer":                      {action: atlassiantest.Huge(9 << 20)},
	"no body":                            {action: atlassiantest.EmptyBody()},
	"broken JSON":                        {action: atlassiantest.MalformedJSON()},
	"no list":                            {action: atlassiantest.MissingList()},
	"null in place of the list":          {action: atlassiantest.ListInstead(`null`)},
	"an object in place of the list":     {action: atlassiantest.ListInstead(`{}`)},
	"a login page":                       {action: atlassiantest.LoginPage()},
	"a redirect to the login page":       {action: atlassiantest.LoginRedirect()},
	"a redirect elsewhere":               {action: atlassiantest.Redirect("https://elsewhere.example.com/")},
	"a next page elsewhere":              {action: atlassiantest.NextLink("https://elsewhere.example.com/")},
	"a false empty list":                 {action: atlassiantest.EmptyList(), pretends: true},
	"the page before once more":          {action: atlassiantest.RepeatPage(), pretends: true},
	"a record that is null":              {action: atlassiantest.NullRecord(0), pretends: true},
	"a last record that is null":         {action: atlassiantest.NullRecord(-1), pretends: true},
	"a record that is a number":          {action: atlassiantest.NumberRecord(3), pretends: true},
	"a record without its date":          {action: dated("null", "null"), pretends: true, alters: true},
	"a record dated in the year 9999":    {action: dated(`"9999-01-01T00:00:00.000+0000"`, "253370764800000"), pretends: true, alters: true},
	"a record dated in 1970":             {action: dated(`"1970-01-01T00:00:00.000+0000"`, "0"), pretends: true, alters: true},
	"a record without its id":            {action: atlassiantest.DropField(1, "id"), pretends: true, alters: true},
}

// dated gives a record another date, as a text or as a number.
func dated(text, number string) atlassiantest.Action {
	return atlassiantest.Together(atlassiantest.SetField(2, "created", text),
		atlassiantest.SetField(2, "timestamp", text), atlassiantest.SetField(2, "creationDate", number))
}

// TestEveryFaultAtEveryPage lets each fault strike each request of a run, in
// turn alone or as long as the client tries again. The runs that follow make up
// for it.
func TestEveryFaultAtEveryPage(t *testing.T) {
	t.Parallel()
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, source := range kinds {
				for k := 1; ; k += source.stride() {
					struck := false
					times := 1 + (i+k)%2*2
					dir := t.TempDir()
					synctest.Test(t, func(t *testing.T) {
						m := newMachine(newSite(source, 1), dir)
						var err error
						struck, err = strike(m, f, k, times)
						if err != nil {
							t.Errorf("%s: %d times from request %d on: %v", source.Name, times, k, err)
						}
					})
					if !struck {
						break
					}
				}
			}
		})
	}
}

// strike lets a machine read two runs' worth of records while a fault strikes
// its k-th request and those after it.
func strike(m *machine, f fault, k, times int) (struck bool, err error) {
	m.o.PageSize = 10
	m.site.add(12, 7*time.Minute, 20*time.Minute)
	m.site.burst(13, 15*time.Minute)
	m.site.twins(3, 10*time.Minute)
	armed := m.site.Fault(atlassiantest.Fault{After: k - 1, Times: times, Action: f.action})
	_, _ = m.run() // may fail
	time.Sleep(interval)
	m.site.add(12, time.Second, 0)
	_, _ = m.run() // may fail
	struck = armed.Fired() > 0
	armed.Disarm()
	if _, err := m.settle(); err != nil {
		return struck, err
	}
	if !f.pretends {
		return struck, m.exactly()
	}
	if err := m.reconcile(); err != nil {
		return struck, err
	}
	l, err := m.audit()
	switch {
	case err != nil:
		return struck, err
	case l.Lost > 0, !f.alters && l.Repeated+l.SameID > 0:
		return struck, l.Err()
	}
	return struck, nil
}

// TestAFalseEmptyListIsNotBelieved is stricter than the test above: the
// records need not wait for a reconcile unless the list stands for the last page
// of a gap.
func TestAFalseEmptyListIsNotBelieved(t *testing.T) {
	t.Parallel()
	asking(t, func(t *testing.T, m *machine) {
		history(m)
		_, err := m.settle()
		must(t, err)
		for k := range 12 {
			m.site.add(15, time.Second, 0)
			empty := m.site.Fault(atlassiantest.Fault{Nth: k%3 + 1, Action: atlassiantest.EmptyList()})
			time.Sleep(interval)
			_, _ = m.run() // may say so
			empty.Disarm()
		}
		_, err = m.settle()
		must(t, err)
		must(t, m.exactly())
	})
}

// TestAnswersThatLackKnownRecordsAreTold is about a site that was readable and
// now answers nothing for ever.
func TestAnswersThatLackKnownRecordsAreTold(t *testing.T) {
	t.Parallel()
	asking(t, func(t *testing.T, m *machine) {
		history(m)
		_, err := m.settle()
		must(t, err)
		empty := m.site.Fault(atlassiantest.Fault{Action: atlassiantest.EmptyList()})
		suspicious := false
		for range 5 {
			time.Sleep(interval)
			out, _ := m.run()
			suspicious = suspicious || out.Suspicious
		}
		if !suspicious {
			t.Error("five empty answers, where records are known, were believed")
		}
		m.site.add(40, time.Second, 0)
		_, _ = m.run()
		empty.Disarm()
		_, err = m.settle()
		must(t, err)
		must(t, m.exactly())
	})
}

// disk faults, one for each kind of what a disk may answer.
var diskErrors = map[string]error{
	"an error of the disk": syscall.EIO,
	"no room":              syscall.ENOSPC,
	"no permission":        fs.ErrPermission,
}

// TestEveryOperationOfTheDiskFails lets the n-th operation of the spool's file
// system fail, for every n.
func TestEveryOperationOfTheDiskFails(t *testing.T) {
	t.Parallel()
	for name, cause := range diskErrors {
		for _, rest := range []bool{false, true} {
			if rest {
				name += ", and all after it"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				eachOperation(t, func(m *machine, op operation) error {
					if op.N == m.stop || rest && op.N > m.stop {
						return cause
					}
					return nil
				}, func(_ *testing.T, m *machine) (*machine, error) { return m, nil })
			})
		}
	}
}

// TestPowerFailsAtEveryOperation takes the power away at the n-th operation of
// the spool's file system, for every n, and of what was not synced a part.
func TestPowerFailsAtEveryOperation(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			eachOperation(t, func(m *machine, op operation) error {
				if op.N < m.stop {
					return nil
				}
				if op.N == m.stop && op.Kind == "WriteAt" && seed%2 == 1 {
					return partly
				}
				return syscall.EIO
			}, func(_ *testing.T, m *machine) (*machine, error) {
				m.disk, m.torn = m.disk.Crash(seed), true
				return m, nil
			})
		})
	}
}

// eachOperation runs a machine, with a fault at every operation in turn, then
// lets it come back and settle.
func eachOperation(t *testing.T, fail func(*machine, operation) error, back func(*testing.T, *machine) (*machine, error)) {
	for _, k := range kinds {
		for n := 1; ; n += k.stride() {
			reached := false
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				m := newMachine(newSite(k, 1), dir)
				m.o.PageSize = 10
				m.stop, m.stageFrom = n, n%2
				m.site.add(22, 7*time.Minute, 20*time.Minute)
				m.site.burst(13, 15*time.Minute)
				m.site.twins(3, 10*time.Minute)
				m.disk.Inject(func(op operation) error { return fail(m, op) })
				_, _ = m.run() // may fail
				time.Sleep(interval)
				m.site.add(5, time.Second, 0)
				_, _ = m.run() // may fail
				reached = m.disk.Ops() >= n
				m.disk.Inject(nil)
				m, err := back(t, m)
				must(t, err)
				if _, err := m.settle(); err != nil {
					t.Fatalf("%s: operation %d: %v", k.Name, n, err)
				}
				if err := m.exactly(); err != nil {
					t.Errorf("%s: operation %d: %v", k.Name, n, err)
				}
			})
			if !reached {
				break
			}
		}
	}
}

// TestAFullDisk leaves room for so many bytes, then makes room again.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	for _, room := range []int64{0, 1, 700, 10_000, 30_000, 100_000} {
		t.Run(fmt.Sprint("room for ", room), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, m *machine) {
				history(m)
				m.disk.SetCapacity(room)
				failed := false
				for range 4 {
					_, err := m.run()
					failed = failed || err != nil
					time.Sleep(interval)
					m.site.add(3, time.Second, 0)
				}
				if !failed {
					t.Error("a full disk was not told")
				}
				m.disk.SetCapacity(-1)
				_, err := m.settle()
				must(t, err)
				must(t, m.exactly())
			})
		})
	}
}
