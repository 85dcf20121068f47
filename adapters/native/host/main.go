//go:build cgo && linux

// Command host loads the library and runs it as the Agent does: one image for all
// instances, runs of several at a time, texts that are freed as soon as Run is
// back, an error that the host frees. It reads a Job as JSON from standard input
// and writes a Report. It is for tests alone.
package main

/*
#cgo CFLAGS: -std=c11 -D_GNU_SOURCE
#cgo LDFLAGS: -ldl
#include "host.h"
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

static long long heap(void) { return (long long)mallinfo2().uordblks; }
// All threads then take from the heap that mallinfo2 looks at.
static void one_heap(void) { mallopt(M_ARENA_MAX, 1); }
static void ignore_signal(int n) { signal(n, SIG_IGN); }
*/
import "C"

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Instance is what the Agent hands to Run.
type Instance struct {
	CheckID    string `json:"check_id"`
	InitConfig string `json:"init_config"`
	Instance   string `json:"instance"`
}

// Job is what the host is to do.
type Job struct {
	Library   string     `json:"library"`
	Instances []Instance `json:"instances"`
	// Rounds is how often each instance runs; Parallel, how many at a time: an
	// instance never overlaps itself, as in the Agent.
	Rounds   int  `json:"rounds"`
	Parallel int  `json:"parallel"`
	Keep     bool `json:"keep"` // report every callback
	// Leave is how many descriptors the host leaves open to its children.
	Leave int `json:"leave"`
	// Unload closes the library while the first run is under way.
	Unload bool `json:"unload"`
	// IgnoreChildren has the kernel take the exit status of every child.
	IgnoreChildren bool `json:"ignore_children"`
	// CloseStandard closes standard input before the runs, so that new
	// descriptors take its number.
	CloseStandard bool `json:"close_standard"`
}

// Run is one run's end.
type Run struct {
	CheckID string  `json:"check_id"`
	Error   *string `json:"error"`
	Calls   []Call  `json:"calls"`
}

// Use is what the process holds.
type Use struct {
	Descriptors []string `json:"descriptors"`
	Children    []string `json:"children"`
	Heap        int64    `json:"heap"`     // bytes that malloc has given out
	Resident    int64    `json:"resident"` // KiB
}

// Report is what came of a job.
type Report struct {
	Version string `json:"version"`
	Runs    []Run  `json:"runs"`
	Calls   int    `json:"calls"`
	Before  Use    `json:"before"`
	Middle  Use    `json:"middle"` // after the first tenth of the rounds
	After   Use    `json:"after"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "host: %v\n", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run() error {
	var job Job
	if err := json.NewDecoder(os.Stdin).Decode(&job); err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	recorded.keep = job.Keep
	C.one_heap()
	lib, err := load(job.Library)
	if err != nil {
		return err
	}
	if job.IgnoreChildren {
		C.ignore_signal(C.SIGCHLD)
	}
	for range job.Leave {
		if C.dup(2) < 0 { // without FD_CLOEXEC, unlike what Go opens
			return errors.New("no descriptor to leave open")
		}
	}
	if job.CloseStandard {
		if err := os.Stdin.Close(); err != nil {
			return fmt.Errorf("close standard input: %w", err)
		}
	}
	report := Report{Version: lib.version(), Before: use()}
	for round := range job.Rounds {
		lib.round(job, &report)
		if round == job.Rounds/10 {
			report.Middle = use()
		}
	}
	report.After = use()
	report.Calls = recorded.count
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// library is the image, of which the loader opens one for all instances.
type library struct{ handle, run, versionOf unsafe.Pointer }

func load(path string) (*library, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	handle := C.dlopen(name, C.RTLD_NOW|C.RTLD_LOCAL)
	if handle == nil {
		return nil, fmt.Errorf("load the library: %s", C.GoString(C.dlerror()))
	}
	symbol := func(name string) unsafe.Pointer {
		s := C.CString(name)
		defer C.free(unsafe.Pointer(s))
		return C.dlsym(handle, s)
	}
	lib := &library{handle, symbol("Run"), symbol("Version")}
	if lib.run == nil || lib.versionOf == nil {
		return nil, errors.New("the library has no Run, or no Version")
	}
	return lib, nil
}

func (l *library) version() string {
	var failed *C.char
	return C.GoString(C.host_version(l.versionOf, &failed))
}

// round runs every instance once, Parallel at a time.
func (l *library) round(job Job, report *Report) {
	var (
		group sync.WaitGroup
		next  atomic.Int64
		mu    sync.Mutex
	)
	for range max(1, job.Parallel) {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(job.Instances) {
					return
				}
				if job.Unload && i == 0 {
					go C.dlclose(l.handle)
				}
				done := l.one(job.Instances[i])
				if job.Keep {
					mu.Lock()
					report.Runs = append(report.Runs, done)
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
}

// one is one run. What was handed over is overwritten and freed at once.
func (l *library) one(in Instance) Run {
	id, init, instance := C.CString(in.CheckID), C.CString(in.InitConfig), C.CString(in.Instance)
	var failed *C.char
	C.host_run(l.run, id, init, instance, &failed)
	for _, s := range []*C.char{id, init, instance} {
		C.memset(unsafe.Pointer(s), 'x', C.strlen(s))
		C.free(unsafe.Pointer(s))
	}
	out := Run{CheckID: in.CheckID, Calls: recorded.take(in.CheckID)}
	if failed != nil {
		text := C.GoString(failed)
		out.Error = &text
		C.free(unsafe.Pointer(failed))
	}
	return out
}

// use is what this process holds now, Go's own garbage aside.
func use() Use {
	runtime.GC()
	u := Use{Heap: int64(C.heap())}
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil { // the one that Glob read from is gone
			u.Descriptors = append(u.Descriptors, filepath.Base(link)+" "+target)
		}
	}
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err == nil {
			u.Children = append(u.Children, strings.Fields(string(text))...)
		}
	}
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		_, _ = fmt.Sscanf(line, "VmRSS: %d kB", &u.Resident) // other lines do not match
	}
	return u
}
