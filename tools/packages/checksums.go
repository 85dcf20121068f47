package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writeChecksums writes SHA256SUMS, as `sha256sum --check` reads it.
func (r release) writeChecksums() error {
	files, err := os.ReadDir(r.dist) // sorted by name
	if err != nil {
		return fmt.Errorf("list the results: %w", err)
	}
	var sums strings.Builder
	for _, f := range files {
		sum, err := sumOf(filepath.Join(r.dist, f.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%s  %s\n", sum, f.Name())
	}
	return r.write("SHA256SUMS", func(f *os.File) error {
		_, err := f.WriteString(sums.String())
		return err
	})
}

// sumOf is a file's SHA-256, in hexadecimal.
func sumOf(path string) (string, error) {
	h := sha256.New()
	if err := copyFile(h, path); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
