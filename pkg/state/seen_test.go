package state

import (
	"bytes"
	"cmp"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"atlassian_audit_records/pkg/audit"
)

// model remembers records in a plain list.
type model []audit.Seen

func (m model) at(millis []int64) []audit.Seen {
	var out []audit.Seen
	for _, ms := range millis {
		for _, e := range m {
			if e.Millis == ms {
				out = append(out, e)
			}
		}
	}
	return out
}

func (m model) next(ms int64) (next int64, ok bool) {
	for _, e := range m {
		if e.Millis != audit.UndatedMillis && e.Millis >= ms && (!ok || e.Millis < next) {
			next, ok = e.Millis, true
		}
	}
	return next, ok
}

// forget keeps what shares its 16 seconds with something outside of the spans, as the
// store is free to.
func (m model) forget(spans audit.Set) model {
	return slices.DeleteFunc(slices.Clone(m), func(e audit.Seen) bool {
		chunk := audit.Interval{From: e.Millis >> 17 << 17, To: e.Millis>>17<<17 + 1<<17}
		return e.Millis != audit.UndatedMillis && len(spans.Gaps(chunk)) == 0
	})
}

// someMillis draws times that meet: few chunks, their first and last
// milliseconds, times before 1970, and none at all.
func someMillis() *rapid.Generator[int64] {
	return rapid.OneOf(
		rapid.Custom(func(t *rapid.T) int64 {
			return rapid.Int64Range(-3, 3).Draw(t, "chunk")<<17 + rapid.SampledFrom([]int64{0, 1, 2, 63, 64, 1<<13 - 1, 1 << 13, 1<<17 - 2, 1<<17 - 1}).Draw(t, "offset")
		}),
		rapid.Int64Range(1_763_900_000_000, 1_763_900_320_000),
		rapid.SampledFrom([]int64{audit.UndatedMillis, -62_135_596_800_000, 253_402_300_799_999}),
	)
}

func someSeen() *rapid.Generator[audit.Seen] {
	return rapid.Custom(func(t *rapid.T) audit.Seen {
		hash := rapid.SampledFrom([]uint64{0, 1, 2, 1 << 63, 1<<64 - 1})
		e := audit.Seen{Millis: someMillis().Draw(t, "millis"), Coarse: hash.Draw(t, "coarse"), HasID: rapid.Bool().Draw(t, "has id")}
		if !e.HasID {
			e.Fine = hash.Draw(t, "fine")
		}
		return e
	})
}

func TestRecordsSeenAreThoseOfAModel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := Files{State: filepath.Join(dir, "s"), Copy: filepath.Join(dir, "c"), Marker: filepath.Join(dir, "m")}
	rapid.Check(t, func(r *rapid.T) {
		if err := os.RemoveAll(f.State); err != nil {
			r.Fatal(err)
		}
		s := openForModel(r, f)
		defer func() {
			if err := s.Close(); err != nil {
				r.Error(err)
			}
		}()
		var m model
		commit := func(c audit.Change) {
			if err := s.Commit(c); err != nil {
				r.Fatal(err)
			}
			m = append(m, c.Emitted...)
			m = m.forget(c.Forgets())
		}
		r.Repeat(map[string]func(*rapid.T){
			"commit": func(r *rapid.T) {
				commit(audit.Change{Emitted: rapid.SliceOfN(someSeen(), 0, 30).Draw(r, "emitted")})
			},
			"commit and forget": func(r *rapid.T) {
				var spans audit.Set
				for range rapid.IntRange(1, 2).Draw(r, "spans") {
					from := rapid.OneOf(rapid.Just(int64(math.MinInt64)), someMillis()).Draw(r, "from")
					spans = spans.Add(audit.Interval{From: from, To: someMillis().Draw(r, "to")})
				}
				c := audit.Change{Emitted: rapid.SliceOfN(someSeen(), 0, 3).Draw(r, "emitted"), Drop: spans}
				if rapid.Bool().Draw(r, "below") {
					c.Drop, c.Keep, c.Forget = nil, spans, someMillis().Draw(r, "forget")
				}
				commit(c)
			},
			"open again": func(r *rapid.T) {
				if err := s.Close(); err != nil {
					r.Fatal(err)
				}
				s = openForModel(r, f)
			},
			"ask what was seen": func(r *rapid.T) {
				millis := rapid.SliceOfDistinct(someMillis(), rapid.ID[int64]).Draw(r, "millis")
				slices.Sort(millis)
				got, err := s.SeenAt(millis)
				if d := gocmp.Diff(m.at(millis), got); d != "" || err != nil {
					r.Fatalf("SeenAt(%d): %v (-model +store)\n%s", millis, err, d)
				}
			},
			"ask what is next": func(r *rapid.T) {
				ms := someMillis().Draw(r, "ms")
				next, ok, err := s.NextSeen(ms)
				wantNext, wantOK := m.next(ms)
				if next != wantNext || ok != wantOK || err != nil {
					r.Fatalf("NextSeen(%d) = %d, %v, %v, want %d, %v", ms, next, ok, err, wantNext, wantOK)
				}
			},
		})
	})
}

func openForModel(r *rapid.T, f Files) *Store {
	s, notice, err := Open(f, options())
	if err != nil || notice != "" {
		r.Fatalf("Open: %q, %v", notice, err)
	}
	s.db.NoSync, s.db.NoGrowSync = true, true
	return s
}

func TestChunksAreInOrderOfTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		if keyChunk(chunkKey(a)) != a {
			t.Fatalf("the key of chunk %d is that of %d", a, keyChunk(chunkKey(a)))
		}
		if bytes.Compare(chunkKey(a), chunkKey(b)) != cmp.Compare(a, b) {
			t.Fatalf("the keys of %d and %d are in another order", a, b)
		}
	})
}

// TestAChunkHoldsItsOwnTime: what no commit writes is damage, each in its way.
func TestAChunkHoldsItsOwnTime(t *testing.T) {
	t.Parallel()
	entry := func(head ...byte) []byte { return append(head, make([]byte, 8)...) }
	for name, row := range map[string]struct {
		body []byte
		ok   bool
	}{
		"its first millisecond":                   {entry(1), true},
		"its last millisecond":                    {entry(0xff, 0xff, 0x0f), true},
		"a millisecond behind it":                 {entry(0x81, 0x80, 0x10), false},
		"a step from its last one":                {append(entry(0xff, 0xff, 0x0f), entry(3)...), false},
		"a number that is longer than it must be": {entry(0x81, 0x00), false},
		"a number without an end":                 {[]byte{0xff, 0xff, 0xff}, false},
		"an entry that is cut":                    {entry(1)[:8], false},
		"an entry whose second key is missing":    {entry(0), false},
		"an entry whose second key is cut":        {append(entry(0), 1, 2, 3), false},
	} {
		seen, err := decodeChunk(5, seal(chunkKey(5), row.body))
		if (err == nil) != row.ok || row.ok && (len(seen) != 1 || chunkOf(seen[0].Millis) != 5) {
			t.Errorf("%s: %+v, %v", name, seen, err)
		}
	}
}

func FuzzDecodeChunk(f *testing.F) {
	f.Add(int64(0), []byte{})
	f.Add(int64(-1), encodeChunk(-1, []audit.Seen{{Millis: -5, Coarse: 1, Fine: 2}, {Millis: -5, Coarse: 3, HasID: true}})[4:])
	f.Add(chunkOf(audit.UndatedMillis), encodeChunk(chunkOf(audit.UndatedMillis), []audit.Seen{{Millis: audit.UndatedMillis, Coarse: 1}})[4:])
	f.Add(int64(7), []byte{0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, chunk int64, body []byte) {
		chunk >>= chunkBits // no other numbers exist
		if _, err := decodeChunk(chunk, body); err == nil && len(body) > 0 {
			if _, err := unseal(chunkKey(chunk), body); err != nil {
				t.Fatal("a chunk without its checksum is read")
			}
		}
		sealed := seal(chunkKey(chunk), body)
		seen, err := decodeChunk(chunk, sealed)
		if err != nil {
			return
		}
		if again := encodeChunk(chunk, seen); !bytes.Equal(again, sealed) {
			t.Fatalf("%x is read as %+v, which is written as %x", sealed, seen, again)
		}
		for _, e := range seen {
			if chunkOf(e.Millis) != chunk {
				t.Fatalf("%+v is not of chunk %d", e, chunk)
			}
		}
	})
}

func FuzzUnseal(f *testing.F) {
	f.Add([]byte("key"), []byte("value"), uint16(3))
	f.Add([]byte{}, []byte{}, uint16(0))
	f.Add([]byte("\xff\xff\xff\xff"), []byte{}, uint16(75))
	f.Fuzz(func(t *testing.T, key, value []byte, at uint16) {
		_, _ = unseal(key, value) // must not panic
		sealed := seal(key, value)
		got, err := unseal(key, sealed)
		if err != nil || !bytes.Equal(got, value) {
			t.Fatalf("%x is %x, %v", value, got, err)
		}
		// A checksum tells every key that differs in up to 32 bits in a row; of one that
		// is longer it may tell nothing, but in a bucket of numbers all are as long.
		if other := bytes.Clone(key); len(key) > 0 {
			other[int(at)%len(key)] ^= 1 << (at % 8)
			if _, err := unseal(other, sealed); err == nil {
				t.Fatal("it opens under another key")
			}
		}
		sealed[int(at)%len(sealed)] ^= 1
		if _, err := unseal(key, sealed); err == nil {
			t.Fatal("a wrong byte is not noticed")
		}
	})
}

func FuzzDecodeMarker(f *testing.F) {
	f.Add([]byte(`{"version":1,"resume":1700000000000,"written":1,"checksum":"00000000"}`), int64(0))
	f.Add([]byte(`{"version":9}`), int64(-1))
	f.Add([]byte(`null`), int64(1)<<62)
	f.Fuzz(func(t *testing.T, body []byte, resume int64) {
		if m, err := decodeMarker(body); err == nil && m.Checksum != m.checksum() {
			t.Fatalf("%s is believed", body)
		}
		files := newFiles(t)
		if err := Mark(files, resume, theMoment); err != nil {
			t.Fatal(err)
		}
		m, err := readMarker(files.Marker)
		if err != nil || m.Resume != resume || m.Written != theMoment.UnixMilli() {
			t.Fatalf("%d is read as %+v, %v", resume, m, err)
		}
	})
}

// BenchmarkRemembered tells what a million remembered records take on disk, and
// how long a state with them takes to open.
func BenchmarkRemembered(b *testing.B) {
	const records, page = 1_000_000, 1000
	for _, c := range []struct {
		name  string
		hasID bool
	}{{"Jira", true}, {"Confluence", false}} {
		b.Run(c.name, func(b *testing.B) {
			f := newFiles(b)
			s, _, err := Open(f, options())
			if err != nil {
				b.Fatal(err)
			}
			s.db.NoSync, s.db.NoGrowSync = true, true
			// One record in three seconds, read from the newest down.
			for at := records; at > 0; at -= page {
				c2 := audit.Change{Batch: &audit.Batch{Place: audit.Place{File: "f"}}}
				for i := at - page; i < at; i++ {
					c2.Emitted = append(c2.Emitted, audit.Seen{Millis: theResume + int64(i)*3000, Coarse: uint64(i), Fine: uint64(i), HasID: c.hasID})
				}
				mustCommit(b, s, c2)
			}
			if err := s.Copy(f); err != nil {
				b.Fatal(err)
			}
			mustClose(b, s)
			for b.Loop() {
				s, _, err := Open(f, options())
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
			each := float64(len(read(b, f.State))) / records
			b.ReportMetric(each, "state-B/record")
			if each > 40 {
				b.Errorf("a remembered record takes %.1f bytes; at most 40 are wanted", each)
			}
			b.ReportMetric(float64(len(read(b, f.Copy)))/records, "copy-B/record")
		})
	}
}
