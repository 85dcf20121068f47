//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// BenchmarkCPU compares the CPU time that collecting a long history costs, all of
// it from the socket to the disk, with that of one scan of the same bytes by
// encoding/json.
func BenchmarkCPU(b *testing.B) {
	for _, edge := range []bool{false, true} {
		name := "bare"
		if edge {
			name = "as_Atlassian_sends"
		}
		b.Run(name, func(b *testing.B) {
			beSmall(os.Getenv)
			s := newSubject(b, siteOptions{Records: 200_000, Edge: edge})
			s.inFolder(func(folder string) { s.collect(folder) }) // the edge compresses each page once
			var page bytes.Buffer
			var scan, download, least, all time.Duration
			var mallocs uint64
			for b.Loop() {
				before, scanned := cpuTime(b), scan
				s.download(func(r io.Reader) error {
					page.Reset()
					_, err := page.ReadFrom(r)
					at := cpuTime(b)
					if !json.Valid(page.Bytes()) {
						b.Fatal("a page is no JSON")
					}
					scan += cpuTime(b) - at
					return err
				})
				download += cpuTime(b) - before - (scan - scanned)
				s.inFolder(func(folder string) {
					at := cpuTime(b)
					s.copyPages(folder)
					least += cpuTime(b) - at
				})
				s.inFolder(func(folder string) {
					at, allocated := cpuTime(b), allocations()
					s.collect(folder)
					mallocs += allocations() - allocated
					all += cpuTime(b) - at
				})
			}
			per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(b.N*s.records) }
			b.ReportMetric(all.Seconds()/scan.Seconds(), "x-scan")
			b.ReportMetric((all-download).Seconds()/scan.Seconds(), "x-scan-without-download")
			b.ReportMetric(least.Seconds()/scan.Seconds(), "x-scan-copied")
			b.ReportMetric(per(all), "ns-CPU/record")
			b.ReportMetric(per(scan), "ns-scan/record")
			each := float64(mallocs) / float64(b.N*s.records)
			b.ReportMetric(each, "allocs/record")
			if each > 10 {
				b.Errorf("a record costs %.1f allocations; at most 10 are wanted", each)
			}
			if ratio := all.Seconds() / scan.Seconds(); !edge && ratio > 1.5 {
				b.Errorf("a record costs %.2f times the CPU of scanning it (handing on as many bytes unseen, %.2f); at most 1.5 is wanted", ratio, least.Seconds()/scan.Seconds())
			}
		})
	}
}

// copyPages hands on as many bytes as the collection of the same pages does, about
// twice theirs, without a look at them: the part that only the systems below have.
func (s *subject) copyPages(folder string) {
	s.b.Helper()
	f, err := os.Create(filepath.Join(folder, "lines"))
	if err != nil {
		s.b.Fatal(err)
	}
	var page bytes.Buffer
	s.download(func(r io.Reader) error {
		page.Reset()
		if _, err := page.ReadFrom(r); err != nil {
			return err
		}
		for range 2 {
			if _, err := f.Write(page.Bytes()); err != nil {
				return err
			}
		}
		return f.Sync()
	})
	if err := f.Close(); err != nil {
		s.b.Fatal(err)
	}
}

// allocations is how often the process has allocated memory.
func allocations() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
