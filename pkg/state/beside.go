package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// The lines of a large batch stand in a file of their own beside the state: to pack
// them, and to copy them through bbolt, takes longer than to write them. There
// are two such files, which take turns, so that the one that the state names is
// never written to: whatever a crash makes of the other one, nobody asks. They are
// written over in their place, and synced before the state names them.

const (
	// largeBatch is from how many bytes on a batch is large. A page is not: a
	// sync more for each would cost more than it saves.
	largeBatch = 2 << 20
	// besideChunk is how much is handed to the system at once.
	besideChunk = 256 << 10
)

// besideMagic begins such a file, with its version.
const besideMagic = "AARLINE1"

// besideHead is how long what stands before the lines is: the magic, their length
// in 8 bytes, their checksum in 4, and 4 more that are 0.
const besideHead = len(besideMagic) + 8 + 4 + 4

// beside says where the lines of a batch stand.
type beside struct {
	// File is 0 or 1, Length that of the lines in bytes, Sum their checksum.
	File   int    `json:"file"`
	Length int64  `json:"length"`
	Sum    uint32 `json:"sum"`
}

// besidePath is that of one of the two files of a state.
func besidePath(state string, n int) string { return fmt.Sprintf("%s.lines%d", state, n) }

func besideSum(lines []byte) uint32 { return checksum([]byte(besideMagic), lines) }

// read answers the lines. Whatever is not as it was written is an error.
func (b *beside) read(state string) ([]byte, error) {
	if b.File < 0 || b.File > 1 || b.Length < 0 || b.Length > maxRedo {
		return nil, errRedo
	}
	f, err := openOld(besidePath(state, b.File), os.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("the lines of the last batch: %w", err)
	}
	defer f.Close() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < int64(besideHead)+b.Length {
		return nil, errCut
	}
	head, lines := make([]byte, besideHead), make([]byte, b.Length)
	if _, err := f.ReadAt(head, 0); err != nil {
		return nil, err
	}
	if _, err := f.ReadAt(lines, int64(besideHead)); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if string(head) != string(appendBesideHead(nil, lines, b.Sum)) || besideSum(lines) != b.Sum {
		return nil, errChecksum
	}
	return lines, nil
}

// lostBeside reports whether the lines cannot be had any more, by an error of read.
func lostBeside(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, errCut) || errors.Is(err, errChecksum) || errors.Is(err, errRedo)
}

func appendBesideHead(b, lines []byte, sum uint32) []byte {
	b = append(b, besideMagic...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(lines)))
	b = binary.BigEndian.AppendUint32(b, sum)
	return append(b, 0, 0, 0, 0)
}

// besides are the two files, as far as they are open.
type besides [2]*os.File

// write makes the lines durable in the file that was does not name.
func (bs *besides) write(state string, was *beside, lines []byte) (*beside, error) {
	out := &beside{Length: int64(len(lines))}
	if was != nil && was.File == 0 {
		out.File = 1
	}
	path := besidePath(state, out.File)
	f, err := bs.open(path, out.File)
	if err == nil {
		out.Sum, err = writeBeside(f, lines)
	}
	if err != nil {
		return nil, fmt.Errorf("write %d bytes of lines to %s: %w", len(lines), path, err)
	}
	return out, nil
}

// open opens a file, or makes it.
func (bs *besides) open(path string, n int) (*os.File, error) {
	if bs[n] != nil {
		return bs[n], nil
	}
	f, err := openOld(path, os.O_RDWR)
	if errors.Is(err, os.ErrNotExist) {
		if f, err = openNew(path); err == nil {
			if err = syncFolder(path); err != nil {
				err = errors.Join(err, f.Close())
			}
		}
	}
	if err != nil {
		return nil, err
	}
	bs[n] = f
	return f, nil
}

// writeBeside writes and syncs, and answers the checksum.
func writeBeside(f *os.File, lines []byte) (sum uint32, err error) {
	sum = besideSum(nil)
	for at := 0; at < len(lines); at += besideChunk {
		some := lines[at:min(at+besideChunk, len(lines))]
		sum = crc32.Update(sum, castagnoli, some)
		if _, err := f.WriteAt(some, int64(besideHead+at)); err != nil {
			return 0, err
		}
	}
	if _, err := f.WriteAt(appendBesideHead(nil, lines, sum), 0); err != nil {
		return 0, err
	}
	return sum, syncData(f)
}

func (bs *besides) close() error {
	var err error
	for n, f := range bs {
		if f != nil {
			err = errors.Join(err, f.Close())
			bs[n] = nil
		}
	}
	return err
}
