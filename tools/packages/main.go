// Command packages builds what is handed out of a checkout: deb and rpm packages,
// archives for Windows and macOS, the build context of the container image, an
// SBOM for each platform, and the checksums of all of them.
//
// It promises the same bytes for the same commit, version, epoch and Go release,
// wherever, whenever and by whomever it is run; owners and modes are the ones
// written down in packaging/nfpm.yaml and layout.go, never those of the checkout.
// It signs nothing and uploads nothing. It runs `go`, and asks the module cache
// (or proxy) for the licences of what is linked into the programs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "packages:", err)
		stop()
		os.Exit(1)
	}
}

// versionForm is what both dpkg and rpm take for a version.
var versionForm = regexp.MustCompile(`^[0-9][A-Za-z0-9.+~]*$`)

// release is what one run builds, and where.
type release struct {
	root    string // the checkout
	work    string // programs and documents, kept between runs
	dist    string // the results
	version string
	ldflags string
	epoch   time.Time // the time of every file in every package
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("packages", flag.ContinueOnError)
	var r release
	flags.StringVar(&r.root, "root", ".", "the checkout")
	flags.StringVar(&r.work, "work", "bin", "the folder of programs and documents, below the checkout or absolute")
	flags.StringVar(&r.dist, "dist", "dist", "the folder of the results, below the checkout or absolute")
	flags.StringVar(&r.version, "version", "", "the version, as tools/version.sh prints it")
	flags.StringVar(&r.ldflags, "ldflags", "", "what the linker is told")
	epoch := flags.String("epoch", os.Getenv("SOURCE_DATE_EPOCH"), "the time of every file, in seconds since 1970")
	if err := flags.Parse(args); err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(*epoch, 10, 64)
	if err != nil || r.version == "" || flags.NArg() > 0 {
		return errors.New("give --version and --epoch (or SOURCE_DATE_EPOCH), as `make packages` does")
	}
	if !versionForm.MatchString(r.version) {
		return fmt.Errorf("%q is no version that dpkg and rpm take, such as 1.2.0 or 1.2.0~rc.1+5.gabc1234", r.version)
	}
	r.epoch = time.Unix(seconds, 0).UTC()
	if r.root, err = filepath.Abs(r.root); err != nil {
		return fmt.Errorf("find the checkout: %w", err)
	}
	for _, path := range []*string{&r.work, &r.dist} {
		if !filepath.IsAbs(*path) {
			*path = filepath.Join(r.root, *path)
		}
	}
	return r.build(ctx)
}

// platforms are those that packages are built for.
var platforms = []platform{{"linux", "amd64"}, {"linux", "arm64"}, {"windows", "amd64"}, {"darwin", "amd64"}, {"darwin", "arm64"}}

func (r release) build(ctx context.Context) error {
	// What lay there is of another version, and would get into the checksums.
	if err := os.RemoveAll(r.dist); err != nil {
		return fmt.Errorf("clear %s: %w", r.dist, err)
	}
	if err := os.MkdirAll(r.dist, 0o755); err != nil { //nolint:gosec // for everybody to read
		return fmt.Errorf("make %s: %w", r.dist, err)
	}
	licences := newLicences(r.root)
	for _, p := range platforms {
		fmt.Fprintln(os.Stdout, "packages:", p)
		if err := r.buildPrograms(ctx, p); err != nil {
			return err
		}
		if err := r.writeDocuments(ctx, p, licences); err != nil {
			return err
		}
		if err := r.pack(p); err != nil {
			return err
		}
	}
	if err := r.containerContext(); err != nil {
		return err
	}
	return r.writeChecksums()
}

// pack writes what one platform's users install.
func (r release) pack(p platform) error {
	switch p.os {
	case "linux":
		for _, format := range []string{"deb", "rpm"} {
			if err := r.linuxPackage(p, format); err != nil {
				return err
			}
		}
		return nil
	case "windows":
		return r.archive(p, windowsLayout(), writeZip, ".zip")
	}
	return r.archive(p, macLayout(), writeTar, ".tar.gz")
}
