package preview

import (
	"crypto/sha256"
	_ "embed" // the page's parts
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// The parts of the page. docs/dependencies.md says where those of others come from.
var (
	//go:embed web/page.html
	pageHTML string
	//go:embed web/page.css
	pageCSS string
	//go:embed web/page.js
	pageJS string
	//go:embed web/uplot.min.js
	uplotJS string
	//go:embed web/uplot.min.css
	uplotCSS string
	//go:embed web/uplot.LICENSE
	uplotLicense string
	//go:embed web/world.LICENSE
	worldLicense string
	//go:embed web/world.json
	world string
)

// Page is what the page shows.
type Page struct {
	// Source says in a sentence where the records come from.
	Source string `json:"source"`
	// Notes are what a person must know so as not to be misled.
	Notes []string `json:"notes"`
	// From, To and Step bound and divide the time axes; in seconds since 1970.
	From int64 `json:"from"`
	To   int64 `json:"to"`
	Step int64 `json:"step"`
	// Records is how many are shown.
	Records    int         `json:"records"`
	Dashboards []Dashboard `json:"dashboards"`
	// World is the shapes of countries, where a map is drawn.
	World json.RawMessage `json:"world,omitempty"`
}

// Write writes the page as HTML.
func (p Page) Write(w io.Writer) error {
	if p.maps() {
		p.World = json.RawMessage(world)
	}
	model, err := json.Marshal(p) // escapes <, > and &: nothing in a record ends the script element
	if err != nil {
		return fmt.Errorf("put the page's data into JSON: %w", err)
	}
	script := "/*! uPlot, MIT licence\n" + uplotLicense + "\nShapes of countries: world-atlas, ISC licence\n" + worldLicense + "*/\n" + uplotJS + "\n" + pageJS
	style := uplotCSS + "\n" + pageCSS
	policy := fmt.Sprintf("default-src 'none'; script-src '%s'; style-src '%s'; base-uri 'none'; form-action 'none'", digest(script), digest(style))
	// Not html/template: it keeps the linker from leaving out what nobody calls,
	// and nothing here is in need of its escaping.
	page := strings.NewReplacer("{{policy}}", policy, "{{made}}", time.Unix(p.To, 0).UTC().Format("2006-01-02 15:04"),
		"{{style}}", style, "{{script}}", script, "{{model}}", string(model)).Replace(pageHTML)
	if _, err := io.WriteString(w, page); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

func (p Page) maps() bool {
	for _, d := range p.Dashboards {
		for _, g := range d.Groups {
			for _, w := range g.Widgets {
				if w.Type == "geomap" {
					return true
				}
			}
		}
	}
	return false
}

// digest names a text in a content security policy.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
