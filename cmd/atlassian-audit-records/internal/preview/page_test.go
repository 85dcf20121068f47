package preview

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// written is the page as HTML.
func written(t *testing.T, p Page) string {
	t.Helper()
	var out bytes.Buffer
	if err := p.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// hostile is a page of one record whose texts want out.
func hostile(t *testing.T, origin string) Page {
	t.Helper()
	page, err := Draw(Data{Lines: []Line{
		line("1", time.Hour, `</script><img src="`+origin+`/event"><!--`, `</textarea><script src="`+origin+`/user"></script>{{"{{script}}"}}{{model}}`, "192.0.2.1"),
	}}, Options{From: now.Add(-24 * time.Hour), To: now, Source: `<img src="` + origin + `/source">`})
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func TestRecordsStayText(t *testing.T) {
	t.Parallel()
	text := written(t, hostile(t, "http://example.com"))
	if n := strings.Count(text, "</script"); n != 2 {
		t.Errorf("%d scripts end, and there are 2", n)
	}
	for _, s := range []string{"<img", "<script src", "<textarea", "<!--"} {
		if strings.Contains(text, s) {
			t.Errorf("the page has %s in it", s)
		}
	}
	if n := strings.Count(text, `"use strict";`); n < 1 || strings.Count(text, "const model = JSON.parse") != 1 {
		t.Errorf("the script is there %d times", n)
	}
}

func TestThePageIsWhole(t *testing.T) {
	t.Parallel()
	text := written(t, madeUpPage(t, t.TempDir()))
	if found := regexp.MustCompile(`(?i)<link|<iframe|\ssrc\s*=|@import|url\(`).FindString(text); found != "" {
		t.Errorf("the page asks for something: %s", found)
	}
	if len(text) > 2<<20 {
		t.Errorf("the page has %d bytes", len(text))
	}
	for _, s := range []string{"default-src 'none'", "uPlot, MIT licence", "Germany"} {
		if !strings.Contains(text, s) {
			t.Errorf("the page lacks %q", s)
		}
	}
}

// TestWhatIsOthersIsAsItWasPublished: docs/dependencies.md states the checksums.
func TestWhatIsOthersIsAsItWasPublished(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"uplot.min.js": uplotJS, "uplot.min.css": uplotCSS, "world.json": world} {
		if want := fmt.Sprintf("\n%x  %s\n", sha256.Sum256([]byte(text)), name); !strings.Contains(string(page), want) {
			t.Errorf("docs/dependencies.md does not state %q", want)
		}
	}
}

// browser is a headless Chromium's name. Without one the test is skipped and
// says so, except where PREVIEW_BROWSER=required, as `make test-preview` sets.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "NOT TESTED: there is no Chromium on this machine to open the page in; `make test-preview` installs one on Debian"
	if os.Getenv("PREVIEW_BROWSER") == "required" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// opened is the document that a headless Chromium makes of the page, and what
// the page's scripts had to complain about.
func opened(t *testing.T, text string) (document, complaints string) {
	t.Helper()
	folder := t.TempDir()
	path := filepath.Join(folder, "page.html")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, browser(t), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--user-data-dir="+filepath.Join(folder, "profile"), "--enable-logging=stderr",
		"--window-size=1400,1000", "--virtual-time-budget=5000", "--dump-dom", (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String())
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr, c.WaitDelay = &out, &errs, 10*time.Second
	if err := c.Run(); err != nil {
		t.Fatalf("Chromium: %v\n%s", err, errs.String())
	}
	for l := range strings.Lines(errs.String()) {
		if strings.Contains(l, "CONSOLE") {
			complaints += l
		}
	}
	return out.String(), complaints
}

func TestInABrowserEveryTileIsDrawn(t *testing.T) {
	t.Parallel()
	browser(t)
	page := madeUpPage(t, t.TempDir())
	document, complaints := opened(t, written(t, page))
	if complaints != "" {
		t.Errorf("the page complains: %s", complaints)
	}
	tiles, charts := 0, 0
	for i, d := range page.Dashboards {
		for _, g := range d.Groups {
			for _, w := range g.Widgets {
				tiles++
				if i == 0 && len(w.Series) > 0 {
					charts++ // those of hidden tabs are drawn when they are shown
				}
			}
		}
	}
	if !strings.Contains(document, `data-drawn="yes"`) {
		t.Error("the page was not drawn to its end")
	}
	if n := strings.Count(document, `<section class="tile`); n != tiles {
		t.Errorf("%d tiles of %d", n, tiles)
	}
	if n := strings.Count(document, "<canvas"); n != charts || charts == 0 {
		t.Errorf("%d charts of %d", n, charts)
	}
	for _, s := range []string{`class="has"`, "<title>Germany: ", "user_login_successful", "aria-selected=\"true\""} {
		if !strings.Contains(document, s) {
			t.Errorf("the document lacks %q", s)
		}
	}
}

// TestInABrowserChartsDoNotWaitForAFrame: a busy browser has the document before
// its first frame, and a hidden window never has one.
func TestInABrowserChartsDoNotWaitForAFrame(t *testing.T) {
	t.Parallel()
	browser(t)
	text := written(t, madeUpPage(t, t.TempDir()))
	text = regexp.MustCompile(`<meta http-equiv="Content-Security-Policy"[^>]*>`).ReplaceAllString(text,
		"<script>window.ResizeObserver = class { observe() {} };</script>")
	document, complaints := opened(t, text)
	if complaints != "" {
		t.Errorf("the page complains: %s", complaints)
	}
	if !strings.Contains(document, "<canvas") {
		t.Error("no chart is drawn before the first frame")
	}
}

func TestInABrowserNothingReachesANetwork(t *testing.T) {
	t.Parallel()
	browser(t)
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	text := written(t, hostile(t, server.URL))
	// Even where something foreign got into the page, its policy would stop it.
	foreign := `<img src="` + server.URL + `/img"><script src="` + server.URL + `/js"></script><script>fetch("` + server.URL + `/inline")</script></body>`
	document, complaints := opened(t, strings.Replace(text, "</body>", foreign, 1))
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests were made", n)
	}
	if !strings.Contains(document, "&lt;img src=") || !strings.Contains(document, `data-drawn="yes"`) {
		t.Error("the record's text is not shown as text")
	}
	if n := strings.Count(document, "<img"); n != 1 {
		t.Errorf("there are %d pictures, and one was put there on purpose: a record became markup", n)
	}
	if !strings.Contains(complaints, "Content Security Policy") {
		t.Errorf("the browser does not say that it stopped anything: %q", complaints)
	}
	// Without the policy, it is asked: the test would notice.
	opened(t, "<!doctype html><body>"+foreign)
	if asked.Load() == 0 {
		t.Error("the browser of this test asks nothing anyway")
	}
}
