package state

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestLinesSurviveBeingPacked(t *testing.T) {
	t.Parallel()
	var buf []byte
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "lines")
		lines = bytes.Repeat(lines, rapid.IntRange(1, 50).Draw(t, "times"))
		buf = pack(buf, keyLines, lines)
		v, err := unseal(keyLines, buf)
		if err != nil {
			t.Fatal(err)
		}
		got, err := unpack(v)
		if err != nil || !bytes.Equal(got, lines) {
			t.Fatalf("%d bytes became %d, %v", len(lines), len(got), err)
		}
	})
}

// What passes the seal may still be nothing that this program wrote.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(pack(nil, keyLines, []byte("{\"a\":1}\n{\"a\":1}\n"))[4:])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0})
	f.Fuzz(func(t *testing.T, v []byte) {
		lines, err := unpack(v)
		if err != nil {
			if !errors.Is(err, errRedo) || lines != nil {
				t.Fatalf("%d bytes came with %v", len(lines), err)
			}
			return
		}
		again, err := unpack(pack(nil, keyLines, lines)[4:])
		if err != nil || !bytes.Equal(again, lines) {
			t.Fatalf("%d bytes became %d, %v", len(lines), len(again), err)
		}
	})
}
