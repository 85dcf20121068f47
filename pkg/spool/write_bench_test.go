package spool_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
)

// BenchmarkWrite compares a large batch with the same bytes handed to the system in
// one call, synced too. It is told and not judged: it depends on the system's memory.
func BenchmarkWrite(b *testing.B) {
	lines := bytes.Repeat([]byte("{\"text\":\"a line of some forty bytes\"}\n"), 120_000)
	run := b.TempDir()
	d, err := spool.Open(spool.OS{}, filepath.Join(run, "records"), spool.Options{Now: time.Now, Oversize: filepath.Join(run, "oversize")})
	if err != nil {
		b.Fatal(err)
	}
	const name = "20261123T120000.000Z-0000000000000001.jsonl"
	var whole, bits time.Duration
	for b.Loop() {
		began := time.Now()
		if err := d.Write(audit.Place{File: name}, lines); err != nil {
			b.Fatal(err)
		}
		bits += time.Since(began)
		began = time.Now()
		f, err := os.Create(filepath.Join(run, "whole"))
		if err != nil {
			b.Fatal(err)
		}
		_, err = f.WriteAt(lines, 0)
		if err == nil {
			err = f.Sync()
		}
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
		whole += time.Since(began)
		for _, path := range []string{filepath.Join(run, "records", name), filepath.Join(run, "whole")} {
			if err := os.Remove(path); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(bits.Seconds()/whole.Seconds(), "x-one-call")
}
