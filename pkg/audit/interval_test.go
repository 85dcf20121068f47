package audit

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// bitmap is a set of milliseconds in the plainest form: one bit for each
// between lowest and highest.
type bitmap [highest - lowest]bool

const lowest, highest = -20, 44

func (b bitmap) each(i Interval, do func(bit *bool)) bitmap {
	for ms := max(i.From, lowest); ms < min(i.To, highest); ms++ {
		do(&b[ms-lowest])
	}
	return b
}

func (b bitmap) with(i Interval) bitmap {
	return b.each(i, func(bit *bool) { *bit = true })
}

func (b bitmap) without(i Interval) bitmap {
	return b.each(i, func(bit *bool) { *bit = false })
}

func (b bitmap) not() bitmap {
	for k := range b {
		b[k] = !b[k]
	}
	return b
}

// set is the bitmap's one normal form.
func (b bitmap) set() Set {
	var s Set
	for k, in := range b {
		ms := int64(k) + lowest
		switch {
		case !in:
		case len(s) > 0 && s[len(s)-1].To == ms:
			s[len(s)-1].To++
		default:
			s = append(s, Interval{From: ms, To: ms + 1})
		}
	}
	return s
}

func someInterval() *rapid.Generator[Interval] {
	return rapid.Custom(func(t *rapid.T) Interval {
		from := rapid.Int64Range(lowest, highest).Draw(t, "from")
		return Interval{From: from, To: min(highest, from+rapid.Int64Range(-3, 12).Draw(t, "length"))}
	})
}

// someSet draws a set with the bitmap that it stands for.
func someSet(t *rapid.T) (Set, bitmap) {
	var b bitmap
	is := rapid.SliceOfN(someInterval(), 0, 10).Draw(t, "intervals")
	for _, i := range is {
		b = b.with(i)
	}
	return NewSet(is...), b
}

func wantSet(t *rapid.T, what string, want bitmap, got Set) {
	t.Helper()
	if w := want.set(); !slices.Equal(w, got) {
		t.Fatalf("%s is %v, want %v", what, got, w)
	}
}

func TestSetsAreThoseOfABitmap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, b := someSet(t)
		i := someInterval().Draw(t, "i")
		before := slices.Clone(s)
		wantSet(t, "the set", b, s)
		wantSet(t, "Add", b.with(i), s.Add(i))
		wantSet(t, "Remove", b.without(i), s.Remove(i))
		wantSet(t, "Within", b.without(Interval{lowest, i.From}).without(Interval{max(i.From, i.To), highest}), s.Within(i))
		wantSet(t, "Gaps", b.not().without(Interval{lowest, i.From}).without(Interval{max(i.From, i.To), highest}), s.Gaps(i))

		var length int64
		for ms := int64(lowest - 2); ms < highest+2; ms++ {
			in := ms >= lowest && ms < highest && b[ms-lowest]
			if s.Contains(ms) != in {
				t.Fatalf("Contains(%d) = %v in %v", ms, !in, s)
			}
			if in {
				length++
			}
		}
		if s.Length() != length {
			t.Fatalf("Length = %d, want %d", s.Length(), length)
		}
		plain := b.set()
		last, ok := s.Last()
		if ok != (len(plain) > 0) || ok && last != plain[len(plain)-1] {
			t.Fatalf("Last of %v = %v, %v", s, last, ok)
		}
		least, ok := s.Min()
		if ok != (len(plain) > 0) || ok && least != plain[0].From {
			t.Fatalf("Min of %v = %d, %v", s, least, ok)
		}
		if !slices.Equal(before, s) {
			t.Fatalf("the set was %v and is %v", before, s)
		}
	})
}

// A set that was answered may be changed in place without changing the one
// that it came from.
func TestSetsShareNoMemory(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, _ := someSet(t)
		i := someInterval().Draw(t, "i")
		before := slices.Clone(s)
		for _, got := range []Set{s.Add(i), s.Remove(i), s.Within(i), s.Gaps(i)} {
			for k := range got {
				got[k] = Interval{-999, 999}
			}
			_ = append(got[:0], Interval{-998, 998})
		}
		if !slices.Equal(before, s) {
			t.Fatalf("the set was %v and is %v", before, s)
		}
	})
}

// What holds for coverage, whatever the sets: a gap and what is covered make
// the whole, and filling every gap leaves none.
func TestGapsAreWhatIsNotCovered(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, _ := someSet(t)
		wanted := someInterval().Draw(t, "wanted")
		gaps := s.Gaps(wanted)
		if gaps.Length()+s.Within(wanted).Length() != wanted.Length() {
			t.Fatalf("gaps %v and %v are not %v", gaps, s.Within(wanted), wanted)
		}
		filled := s
		for k := len(gaps) - 1; k >= 0; k-- {
			filled = filled.Add(gaps[k])
		}
		if rest := filled.Gaps(wanted); len(rest) != 0 {
			t.Fatalf("%v stays open", rest)
		}
		order := rapid.Permutation(gaps).Draw(t, "order")
		if other := NewSet(append(slices.Clone(s), order...)...); !slices.Equal(other, filled) {
			t.Fatalf("in another order the union is %v instead of %v", other, filled)
		}
	})
}

func TestIntervals(t *testing.T) {
	t.Parallel()
	type row struct {
		name      string
		got, want any
	}
	rows := []row{
		{"an interval holds its first millisecond", Interval{1, 3}.Contains(1), true},
		{"and not its end", Interval{1, 3}.Contains(3), false},
		{"one that ends where it begins is empty", Interval{3, 3}.Empty(), true},
		{"and so is one that ends before", Interval{3, 1}.Empty(), true},
		{"an empty one has no length", Interval{3, 1}.Length(), int64(0)},
		{"it is written as a half-open interval", Interval{-1, 3}.String(), "[-1,3)"},
		{"neighbours do not intersect", Interval{1, 3}.Intersect(Interval{3, 5}).Empty(), true},
		{"neighbours are one in a set", NewSet(Interval{3, 5}, Interval{1, 3}), Set{{1, 5}}},
		{"a millisecond between keeps them two", NewSet(Interval{4, 5}, Interval{1, 3}), Set{{1, 3}, {4, 5}}},
		{"one without an end holds the last millisecond but one", NewSet(Interval{5, Forever}).Contains(Forever - 1), true},
		{"what has no end loses its beginning", NewSet(Interval{5, Forever}).Remove(Interval{0, 9}), Set{{9, Forever}}},
		{"gaps in an empty set are the whole", Set(nil).Gaps(Interval{1, 9}), Set{{1, 9}}},
		{"nothing is missing from nothing", Set{{1, 9}}.Gaps(Interval{5, 5}), Set(nil)},
	}
	for _, r := range rows {
		if d := cmp.Diff(r.want, r.got); d != "" {
			t.Errorf("%s (-want +got):\n%s", r.name, d)
		}
	}
}
