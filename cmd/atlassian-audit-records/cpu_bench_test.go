//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
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
			s.collect(b.TempDir()) // the edge compresses each page once
			var page bytes.Buffer
			var scan, download, all time.Duration
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
				after, allocated := cpuTime(b), allocations()
				s.collect(b.TempDir())
				mallocs += allocations() - allocated
				download += after - before - (scan - scanned)
				all += cpuTime(b) - after
			}
			per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(b.N*s.records) }
			b.ReportMetric(all.Seconds()/scan.Seconds(), "x-scan")
			b.ReportMetric((all-download).Seconds()/scan.Seconds(), "x-scan-without-download")
			b.ReportMetric(per(all), "ns-CPU/record")
			b.ReportMetric(per(scan), "ns-scan/record")
			each := float64(mallocs) / float64(b.N*s.records)
			b.ReportMetric(each, "allocs/record")
			if each > 10 {
				b.Errorf("a record costs %.1f allocations; at most 10 are wanted", each)
			}
			if ratio := all.Seconds() / scan.Seconds(); !edge && ratio > 1.5 {
				b.Errorf("a record costs %.2f times the CPU of scanning it; at most 1.5 is wanted", ratio)
			}
		})
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
