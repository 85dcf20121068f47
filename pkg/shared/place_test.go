package shared_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/shared"
	"atlassian_audit_records/pkg/shared/sharedtest"
)

const scope = "sites/example.atlassian.net/jira"

var moment = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func at() time.Time { return moment }

var web1 = shared.Holder{Node: "1", Host: "web-1"}

// newPlace is a place in an empty store, and its lease.
func newPlace(t testing.TB) (*sharedtest.Store, *shared.Place, *shared.Lease) {
	t.Helper()
	s := sharedtest.NewStore(at)
	p := shared.Site(s.Client(), "example.atlassian.net", at)
	l, err := p.Hold(t.Context(), web1, 3*time.Minute, nil)
	if err != nil || !l.Held() {
		t.Fatalf("Hold: %+v, %v", l, err)
	}
	return s, p, l
}

func publish(t testing.TB, p *shared.Place, l *shared.Lease, old *shared.Head, d shared.Delta) *shared.Head {
	t.Helper()
	d.ID = shared.NewID()
	h, err := p.Publish(t.Context(), audit.Jira, l, old, d)
	if err != nil {
		t.Fatalf("Publish: %v", err)
	}
	return h
}

func read(t testing.TB, p *shared.Place) (h *shared.Head, seen []audit.Seen) {
	t.Helper()
	h, err := p.Head(t.Context(), audit.Jira)
	if err != nil {
		t.Fatalf("Head: %v", err)
	}
	if h != nil {
		err = p.Seen(t.Context(), audit.Jira, h, func(some []audit.Seen) error {
			seen = append(seen, some...)
			return nil
		})
	}
	if err != nil {
		t.Fatalf("Seen: %v", err)
	}
	return h, seen
}

func entries(from, n int64) []audit.Seen {
	var out []audit.Seen
	for i := range n {
		out = append(out, audit.Seen{Millis: from + i, Coarse: uint64(from + i), HasID: i%2 == 0, Fine: uint64(i % 2 * 7)})
	}
	return out
}

func TestWhatIsPublishedIsRead(t *testing.T) {
	t.Parallel()
	_, p, l := newPlace(t)
	if h, _ := read(t, p); h != nil {
		t.Fatalf("an empty store has the head %+v", h)
	}
	first := publish(t, p, l, nil, shared.Delta{Position: audit.Position{Floor: 5, FloorSet: true, File: "mine.jsonl", End: 7, FileSince: 9}})
	second := publish(t, p, l, first, shared.Delta{Position: audit.Position{Floor: 5, FloorSet: true, Upper: 1000, UpperSet: true}, Seen: entries(100, 3)})
	h, seen := read(t, p)
	if diff := cmp.Diff(second, h); diff != "" {
		t.Errorf("(-written +read)\n%s", diff)
	}
	if h.Seq != 2 || h.ID == first.ID || h.ID == "" || h.Host != "web-1" || h.Written != moment.UnixMilli() || first.Position.File != "" || first.Position.End != 0 {
		t.Errorf("the head is %+v after %+v", h, first)
	}
	if diff := cmp.Diff(entries(100, 3), seen); diff != "" {
		t.Errorf("(-written +read)\n%s", diff)
	}
}

func TestNothingIsPublishedWithoutTheLease(t *testing.T) {
	t.Parallel()
	s, p, l := newPlace(t)
	first := publish(t, p, l, nil, shared.Delta{Seen: entries(1, 2)})
	s.Expire("sites/example.atlassian.net/lease")
	if _, err := p.Publish(t.Context(), audit.Jira, l, first, shared.Delta{Seen: entries(3, 2)}); shared.KindOf(err) != shared.Lost {
		t.Errorf("Publish without the lease: %v", err)
	}
	if h, seen := read(t, p); h.Seq != 1 || len(seen) != 2 {
		t.Errorf("it left the head %+v with %d entries", h, len(seen))
	}
	if _, err := p.Publish(t.Context(), audit.Jira, shared.Resume(web1, moment.Add(time.Minute), at), first, shared.Delta{}); shared.KindOf(err) != shared.Lost {
		t.Errorf("Publish under a lease that was only remembered: %v", err)
	}
}

// TestSeenIsWhatWasPublished: whatever is published in which portions, read is all
// that is not forgotten, in the order of its commits within a millisecond, in few
// pieces, none too large, and nothing else is left in the store.
func TestSeenIsWhatWasPublished(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s, p, l := newPlace(t)
		limit := rapid.IntRange(60, 2000).Draw(rt, "piece")
		s.SetLimits(shared.Limits{Value: 1 << 20, Piece: limit})
		var head *shared.Head
		var want []audit.Seen
		forget, serial := int64(0), uint64(0)
		for range rapid.IntRange(1, 30).Draw(rt, "publications") {
			var fresh []audit.Seen
			for range rapid.IntRange(0, 40).Draw(rt, "records") {
				serial++
				e := audit.Seen{Millis: rapid.Int64Range(-5, 2000).Draw(rt, "millis"), Coarse: serial, HasID: rapid.Bool().Draw(rt, "id")}
				if e.Millis < 0 {
					e.Millis = audit.UndatedMillis
				}
				if !e.HasID {
					e.Fine = serial << 32
				}
				fresh = append(fresh, e)
			}
			forget = max(forget, rapid.Int64Range(0, 2500).Draw(rt, "forget")-500)
			head = publish(t, p, l, head, shared.Delta{Seen: fresh, Forget: forget})
			want = append(want, fresh...)
		}
		wanted := func(e audit.Seen) bool { return e.Millis >= forget || e.Millis == audit.UndatedMillis }
		order := func(a, b audit.Seen) int {
			switch {
			case a.Millis < b.Millis:
				return -1
			case a.Millis > b.Millis:
				return 1
			}
			return 0
		}
		got, seen := read(t, p)
		slices.SortStableFunc(want, order)
		slices.SortStableFunc(seen, order)
		want = slices.DeleteFunc(want, func(e audit.Seen) bool { return !wanted(e) })
		seen = slices.DeleteFunc(seen, func(e audit.Seen) bool { return !wanted(e) }) // more may be remembered
		if !slices.Equal(want, seen) {
			rt.Fatalf("(-want +got)\n%s", cmp.Diff(want, seen))
		}
		for _, piece := range got.Pieces {
			if piece.Size > limit {
				rt.Errorf("a piece has %d bytes, more than %d", piece.Size, limit)
			}
		}
		if keys := s.Keys(); len(keys) != len(got.Pieces)+1 {
			rt.Errorf("the store holds %d keys for %d pieces: %v", len(keys), len(got.Pieces), keys)
		}
	})
}

// TestPiecesStayFew: a stream that speaks now and then is in few pieces, and each
// record is written a few times.
func TestPiecesStayFew(t *testing.T) {
	t.Parallel()
	_, p, l := newPlace(t)
	var head *shared.Head
	for i := range int64(2000) {
		head = publish(t, p, l, head, shared.Delta{Seen: entries(i*1000, 1)})
	}
	if n := len(head.Pieces); n > 12 {
		t.Errorf("2,000 records that came one by one are in %d pieces", n)
	}
	if _, seen := read(t, p); len(seen) != 2000 {
		t.Errorf("%d records are seen", len(seen))
	}
}

func TestDamageIsNoticed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		key    string
		change func([]byte) []byte
		want   shared.Kind
	}{
		"a changed head":             {scope + "/head", func(b []byte) []byte { b[20] ^= 1; return b }, shared.Damaged},
		"a head that is cut":         {scope + "/head", func(b []byte) []byte { return b[:len(b)-2] }, shared.Damaged},
		"an empty head":              {scope + "/head", func([]byte) []byte { return []byte{} }, shared.Damaged},
		"a changed piece":            {scope + "/seen/0000000000000000", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, shared.Damaged},
		"a piece that is missing":    {scope + "/seen/0000000000000000", func([]byte) []byte { return nil }, shared.Damaged},
		"a piece that has no bytes":  {scope + "/seen/0000000000000000", func([]byte) []byte { return []byte{} }, shared.Damaged},
		"a head of a newer version":  {scope + "/head", newer, shared.Newer},
		"a head under another's key": {scope + "/head", nil, shared.Damaged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p, l := newPlace(t)
			publish(t, p, l, nil, shared.Delta{Seen: entries(1, 5)})
			if tt.change == nil {
				if _, err := p.Publish(t.Context(), audit.Confluence, l, nil, shared.Delta{}); err != nil {
					t.Fatal(err)
				}
				s.Put(tt.key, s.Value("sites/example.atlassian.net/confluence/head"))
			} else {
				s.Put(tt.key, tt.change(s.Value(tt.key)))
			}
			h, err := p.Head(t.Context(), audit.Jira)
			if err == nil {
				err = p.Seen(t.Context(), audit.Jira, h, func([]audit.Seen) error { return nil })
			}
			if shared.KindOf(err) != tt.want {
				t.Errorf("%v, want an error of kind %q", err, tt.want)
			}
		})
	}
}

// newer is a head as a later version may write it.
func newer(b []byte) []byte {
	body := bytes.Replace(bytes.TrimSuffix(b[9:], []byte("\n")), []byte(`"version":1`), []byte(`"version":2`), 1)
	return fmt.Appendf(nil, "%08x %s\n", shared.Sum(scope+"/head", body), body)
}

func TestALeaseEndsByWhicheverClockIsAhead(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := sharedtest.NewStore(func() time.Time { return now })
	p := shared.Site(s.Client(), "a", func() time.Time { return now })
	l, err := p.Hold(t.Context(), web1, time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		says string
		at   time.Time
		want time.Duration
	}{
		{"at first it is whole", now, time.Minute},
		{"both clocks went on", now.Add(20 * time.Second), 40 * time.Second},
		{"the machine slept: the wall clock alone went on", now.Round(0).Add(50 * time.Second), 10 * time.Second},
		{"the wall clock was put back a little", now.Round(0).Add(-time.Second), time.Minute},
		{"it is over", now.Add(time.Minute), 0},
	} {
		was := now
		now = step.at
		if got := l.Left(); got > step.want || got < step.want-time.Second {
			t.Errorf("%s: %s are left, want %s", step.says, got, step.want)
		}
		now = was
	}
}

func TestAConsentIsChangedByOneAtATime(t *testing.T) {
	t.Parallel()
	s := sharedtest.NewStore(at)
	a := shared.NewConsents(s.Client(), shared.Holder{Node: "1", Host: "web-1"}, at)
	b := shared.NewConsents(s.Client(), shared.Holder{Node: "2", Host: "web-2"}, at)
	lock, _, ok, err := a.TryLock(t.Context(), "app")
	if err != nil || !ok {
		t.Fatalf("TryLock: %t, %v", ok, err)
	}
	if _, who, ok, err := b.TryLock(t.Context(), "app"); ok || err != nil || who.Host != "web-1" {
		t.Errorf("the second one was answered %t, %+v, %v", ok, who, err)
	}
	if err := lock.Save(t.Context(), []byte("one")); err != nil {
		t.Fatal(err)
	}
	s.Expire("consents/app/lease")
	second, _, ok, err := b.TryLock(t.Context(), "app")
	if err != nil || !ok {
		t.Fatalf("TryLock: %t, %v", ok, err)
	}
	if err := lock.Save(t.Context(), []byte("late")); shared.KindOf(err) != shared.Lost {
		t.Errorf("Save under a lock that ended: %v", err)
	}
	if got, err := b.Load(t.Context(), "app"); string(got) != "one" || err != nil {
		t.Errorf("there stands %q, %v", got, err)
	}
	if err := second.Unlock(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, ok, _ := a.TryLock(t.Context(), "app"); !ok {
		t.Error("an unlocked consent cannot be locked")
	}
	if got, err := a.Load(t.Context(), "other"); got != nil || err != nil {
		t.Errorf("another app has %q, %v", got, err)
	}
	s.Put("consents/app/value", []byte("garbage"))
	if _, err := a.Load(t.Context(), "app"); shared.KindOf(err) != shared.Damaged {
		t.Errorf("a damaged consent: %v", err)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	err := error(&shared.Error{Kind: shared.Refused, What: "etcd refuses the password", Next: "check it", Err: context.Canceled})
	if err.Error() != "etcd refuses the password: context canceled; check it" || !errors.Is(err, context.Canceled) || shared.KindOf(errors.New("x")) != "" {
		t.Errorf("%v", err)
	}
}

func FuzzPiece(f *testing.F) {
	f.Add([]byte{1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, body []byte) {
		value := shared.Seal("k", body)
		seen, err := shared.DecodePiece("k", value)
		if err != nil {
			return
		}
		if len(seen) == 0 {
			return
		}
		again, n := shared.EncodePiece("k", seen, 1<<30)
		back, err := shared.DecodePiece("k", again)
		if err != nil || n != len(seen) || !slices.Equal(seen, back) {
			t.Errorf("%v became %v, %v", seen, back, err)
		}
	})
}

func FuzzHead(f *testing.F) {
	f.Add([]byte(`{"version":1,"id":"a","position":{"floor":1},"pieces":[{"n":1,"size":9,"newest":5}]}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := shared.DecodeHead("k", fmt.Appendf(nil, "%08x %s\n", shared.Sum("k", body), body))
		if err != nil {
			if kind := shared.KindOf(err); kind != shared.Damaged && kind != shared.Newer {
				t.Errorf("%v is of kind %q", err, kind)
			}
			return
		}
		again, err := shared.EncodeHead("k", h)
		if err != nil {
			t.Fatal(err)
		}
		back, err := shared.DecodeHead("k", again)
		if err != nil {
			t.Fatalf("what was written of %+v cannot be read: %v", h, err)
		}
		if third, err := shared.EncodeHead("k", back); err != nil || !bytes.Equal(again, third) {
			t.Errorf("%s became %s, %v", again, third, err)
		}
	})
}

func FuzzEtcdURL(f *testing.F) {
	f.Add("etcd://etcd-1.example.com:2379,[::1]/a/b")
	f.Add("etcd://user:secret@h")
	f.Fuzz(func(t *testing.T, url string) {
		c := shared.Config{URL: url}
		_ = c.Name()
		e, err := c.Etcd()
		if err != nil {
			return
		}
		again, err := shared.Config{URL: "etcd://" + strings.Join(e.Endpoints, ",") + e.Prefix}.Etcd()
		if err != nil || !cmp.Equal(e, again) {
			t.Errorf("%q is %+v, and that is %+v, %v", url, e, again, err)
		}
	})
}
