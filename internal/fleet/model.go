package main

import (
	"errors"
	"fmt"
	"time"
)

// Plan is a fleet on one machine, and what is known of its sites.
type Plan struct {
	Sites, Products int
	// Records are made by each product in a day, each a log line of LineBytes.
	Records, LineBytes int
	Interval           time.Duration
	// Run is how long an idle run takes, which is mostly waiting for Atlassian.
	Run                time.Duration
	Runners, OpenFiles int
}

// usual is what docs/fleet.md plans with.
var usual = Plan{Sites: 1000, Products: 2, Records: 1000, LineBytes: 1500, Interval: time.Minute, Run: 1500 * time.Millisecond, Runners: 4, OpenFiles: 500}

const day = 24 * time.Hour

// What the check does, from its defaults and docs/architecture.md.
const (
	pageSize          = 1000
	idleRequests      = 2 // at most, of a product in a run
	lookback          = 15 * time.Minute
	reconcileInterval = 6 * time.Hour
	reconcileWindow   = 48 * time.Hour
)

// What it needs, measured by `make fleet`: docs/fleet.md says on which machine.
const (
	// runMemory is the peak of a run.
	runMemory = 40 << 20
	// runCPU is what a run costs, and fileCPU what it costs more for each file that
	// lies in the folders of its products, in the spool or delivered: it looks
	// whose each is.
	runCPU  = 10 * time.Millisecond
	fileCPU = 35 * time.Microsecond
	// streamDisk is the state of a product that remembers next to nothing, with its
	// copy, marker and notes.
	streamDisk = 160 << 10
	// rememberedBytes is what a record costs that is remembered, where it has no id,
	// in the state and its copy.
	rememberedBytes = 46 + 42
)

// What others count.
const (
	// sharedBytes is what a remembered record without an id takes in etcd.
	sharedBytes = 18
	// pointsPerHour is the quota of one app over all its sites (OAuth 2.0, 3LO; tier
	// 1). A request is thought to cost a point, and each record in it another: not
	// documented for audit records. API tokens have no such quota.
	pointsPerHour = 65000
	// margin of the files that the Agent follows besides the spool's.
	otherFiles = 100
)

// Needs are what a plan needs. Rates are averages.
type Needs struct {
	// RunsAtOnce is how many runs are under way at a time, where they all fit: more
	// than there are runners do not. RunnersWanted keeps a third of them free.
	RunsAtOnce    float64
	RunnersWanted int
	// RealInterval is what becomes of the interval with the runners that there are,
	// and SitesByRunners how many sites they carry at the interval that is wanted.
	RealInterval   time.Duration
	SitesByRunners int
	// RequestsPerDay are of each product, at most; RequestsPerSecond of all.
	RequestsPerDay    int
	RequestsPerSecond float64
	// PointsPerHour are of one site in the hour of a reconcile, SitesPerApp how many
	// sites one OAuth app carries.
	PointsPerHour, SitesPerApp int
	// Files are followed nearly always, FilesAtMost when all roll at the same time.
	// SitesByFiles are carried by the limit that there is, nearly always and at
	// that time.
	Files, FilesAtMost         int
	SitesByFiles, SitesAtRoll  int
	OpenFilesWanted            int
	CPUCores                   float64
	Memory                     int64
	SpoolDisk, StateDisk       int64
	SpoolMaxSize               int64
	Leases                     int
	KeepAlives, StoreQuestions float64 // a second
	StoreBytes                 int64
}

func (p Plan) valid() error {
	if p.Sites < 1 || p.Products < 1 || p.Records < 0 || p.LineBytes < 1 || p.Interval <= 0 || p.Run <= 0 || p.Runners < 1 || p.OpenFiles < 1 {
		return errors.New("a plan needs at least one site, product, runner and open file, an interval and a duration of a run; records must not be negative")
	}
	return nil
}

// needs is the model.
func (p Plan) needs() (n Needs) {
	streams := p.Sites * p.Products
	perSecond := float64(p.Sites) / p.Interval.Seconds()
	n.RunsAtOnce = perSecond * p.Run.Seconds()
	n.RunnersWanted = max(4, int(n.RunsAtOnce*1.5)+1)
	n.RealInterval = max(p.Interval, time.Duration(float64(p.Sites)*float64(p.Run)/float64(p.Runners)))
	n.SitesByRunners = int(float64(p.Runners) * float64(p.Interval) / float64(p.Run))

	reread := float64(p.Records) * float64(reconcileWindow+reconcileInterval) / float64(day)
	pages := int(reread)/pageSize + 2
	n.RequestsPerDay = int(day/p.Interval)*idleRequests + int(day/reconcileInterval)*pages
	n.RequestsPerSecond = float64(streams*n.RequestsPerDay) / day.Seconds()
	live := float64(p.Records) * float64(lookback) / float64(day)
	perRun := idleRequests + int(live)
	n.PointsPerHour = p.Products * (int(time.Hour/p.Interval)*perRun + pages + int(reread))
	n.SitesPerApp = pointsPerHour / n.PointsPerHour

	n.Files, n.FilesAtMost = streams, 2*streams
	n.OpenFilesWanted = n.FilesAtMost + otherFiles
	n.SitesByFiles = max(0, p.OpenFiles-otherFiles) / p.Products
	n.SitesAtRoll = max(0, p.OpenFiles-otherFiles) / (2 * p.Products)

	// Of each product, those in the spool and those delivered on the day before.
	n.CPUCores = perSecond * runCost(p.Products, 2*p.Sites).Seconds()
	n.Memory = int64(p.Runners) * runMemory
	n.SpoolDisk = 2 * int64(streams) * int64(p.Records) * int64(p.LineBytes)
	n.StateDisk = int64(streams) * (streamDisk + int64(reread)*rememberedBytes)
	n.SpoolMaxSize = n.SpoolDisk * 3 / 2

	n.Leases = p.Sites
	n.KeepAlives = perSecond
	n.StoreQuestions = 5 * perSecond
	n.StoreBytes = int64(streams) * int64(reread) * sharedBytes
	return n
}

// runCost is the CPU of a run where so many files lie in the folders of each product.
func runCost(products, files int) time.Duration {
	return runCPU + time.Duration(products*files)*fileCPU
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
}
