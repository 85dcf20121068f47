package agent

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// maxSecret is the size in bytes beyond which a file holds no secret of ours.
const maxSecret = 64 << 10

// ReadSecretFile reads a file that holds one secret and returns it without the
// line end behind it. The file must be a regular one, belong to us or to root,
// and be closed to all others (mode 0600 or less); it may be reached through a
// symbolic link, as a mounted secret is. An error names the file and what to
// do, and nothing of what is in it.
func ReadSecretFile(path string) ([]byte, error) {
	// Asked first, because opening a pipe would wait for a writer.
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("read the secret: %w", err)
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s holds no secret: it is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	defer f.Close() // nothing was written
	// What was opened is what is judged, whatever has its name by now.
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	if err := checkSecret(path, info); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	data = bytes.TrimRight(data, "\r\n")
	switch {
	case len(data) == 0:
		return nil, fmt.Errorf("%s is empty: write the secret into it", path)
	case len(data) > maxSecret:
		return nil, fmt.Errorf("%s holds no secret: it is larger than %d bytes", path, maxSecret)
	}
	return data, nil
}
