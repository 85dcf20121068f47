package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime/debug"
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	errCut      = errors.New("a value is cut short")
	errChecksum = errors.New("a checksum does not match")
)

// sealLen is how much longer a value is for its seal.
const sealLen = 4

// seal puts a checksum before the bytes. It covers the key too: a value that
// stands under another key is damage.
func seal(key, b []byte) []byte {
	out := make([]byte, sealLen, sealLen+len(b))
	binary.BigEndian.PutUint32(out, checksum(key, b))
	return append(out, b...)
}

// unseal checks and removes the checksum. The answer shares memory with b.
func unseal(key, b []byte) ([]byte, error) {
	if len(b) < sealLen {
		return nil, errCut
	}
	if checksum(key, b[sealLen:]) != binary.BigEndian.Uint32(b) {
		return nil, errChecksum
	}
	return b[sealLen:], nil
}

func checksum(key, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, b)
}

// fault is a panic that was caught.
type fault struct{ value any }

func (f *fault) Error() string { return fmt.Sprintf("%v: %v", ErrDamaged, f.value) }

func (f *fault) Unwrap() error { return ErrDamaged }

// guard turns a panic, and a fault of the mapped file, into an error that is
// ErrDamaged: bbolt trusts its file and panics where the file lies, and a file
// that is cut short while it is mapped cannot be foreseen.
func guard(f func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if r := recover(); r != nil {
			err = &fault{r}
		}
	}()
	return f()
}
