package datadog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// An Action is what is to be done with one thing.
type Action string

// The actions.
const (
	Create Action = "create"
	Update Action = "update"
	Keep   Action = "keep" // it is as the assets say
	Remove Action = "remove"
)

// A Change is one thing and what is to be done with it.
type Change struct {
	Action Action `json:"action"`
	Kind   Kind   `json:"kind"`
	// Asset is the asset's name, Title what people see.
	Asset string `json:"asset"`
	Title string `json:"title"`
	// ID is Datadog's; empty before creation.
	ID          string       `json:"id,omitempty"`
	Differences []Difference `json:"differences,omitempty"`

	body map[string]any // to send
}

// A Plan is what there is to do, in order, and what was noticed.
type Plan struct {
	Changes []Change
	// Notes are sentences about things that resemble ours and are left alone.
	Notes []string
}

// Count is how many changes have an action.
func (p Plan) Count(a Action) int {
	n := 0
	for _, c := range p.Changes {
		if c.Action == a {
			n++
		}
	}
	return n
}

// Open is how many changes there are to make.
func (p Plan) Open() int { return len(p.Changes) - p.Count(Keep) }

// A ReadError says that a kind could not be read, so that nothing was begun.
type ReadError struct {
	Kind Kind
	err  error
}

func (e *ReadError) Error() string {
	return fmt.Sprintf("read the %s of the organisation: %v%s", e.Kind, e.err, advice(e.Kind, e.err))
}

func (e *ReadError) Unwrap() error { return e.err }

// advice is what to do about a refusal.
func advice(k Kind, err error) string {
	var failed *APIError
	if !errors.As(err, &failed) {
		return ""
	}
	switch failed.Status {
	case http.StatusUnauthorized:
		return "; is DD_API_KEY of this organisation, and DD_SITE its site?"
	case http.StatusForbidden:
		return fmt.Sprintf("; are both keys of this organisation and site? For %s the application key needs %s", k, kindOf[k].rights)
	case http.StatusTooManyRequests:
		return "; wait some minutes, then run this again: it goes on where it stopped"
	}
	return ""
}

// PlanInstall compares assets with the organisation, and changes nothing. A kind
// that cannot be read is a *ReadError.
func (c *Client) PlanInstall(ctx context.Context, assets []Asset) (Plan, error) {
	var plan Plan
	for _, k := range Kinds() {
		wanted := slices.DeleteFunc(slices.Clone(assets), func(a Asset) bool { return a.Kind != k })
		if len(wanted) == 0 {
			continue
		}
		own, others, notes, err := c.survey(ctx, k)
		if err != nil {
			return Plan{}, &ReadError{k, err}
		}
		plan.Notes = append(plan.Notes, notes...)
		for _, a := range wanted {
			is, there := own[a.Name]
			delete(own, a.Name)
			if there {
				plan.Changes = append(plan.Changes, compare(a, is))
				continue
			}
			plan.Changes = append(plan.Changes, Change{Action: Create, Kind: k, Asset: a.Name, Title: a.Title, body: a.Body()})
			for _, t := range others {
				if t.title == a.Title {
					plan.Notes = append(plan.Notes, fmt.Sprintf("there is a %s %q already (%s) that was not made by this program: it is left alone", k.One(), t.title, t.id))
				}
			}
		}
		for _, name := range sorted(own) {
			plan.Notes = append(plan.Notes, fmt.Sprintf("the %s %q (%s) belongs to an asset %q that this version does not have: `assets remove` takes it away", k.One(), own[name].title, own[name].id, name))
		}
	}
	return plan, nil
}

// PlanRemove finds all that is ours among some kinds, what looks at attributes
// before what makes them.
func (c *Client) PlanRemove(ctx context.Context, kinds []Kind) (Plan, error) {
	var plan Plan
	all := Kinds()
	slices.Reverse(all)
	for _, k := range all {
		if !slices.Contains(kinds, k) {
			continue
		}
		own, _, notes, err := c.survey(ctx, k)
		if err != nil {
			return Plan{}, &ReadError{k, err}
		}
		plan.Notes = append(plan.Notes, notes...)
		for _, name := range sorted(own) {
			plan.Changes = append(plan.Changes, Change{Action: Remove, Kind: k, Asset: name, Title: own[name].title, ID: own[name].id})
		}
	}
	return plan, nil
}

func sorted(own map[string]thing) []string {
	var names []string
	for name := range own {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// survey divides what an organisation has of a kind: own, by asset, and others.
func (c *Client) survey(ctx context.Context, k Kind) (own map[string]thing, others []thing, notes []string, err error) {
	things, err := c.list(ctx, k)
	if err != nil {
		return nil, nil, nil, err
	}
	slices.SortStableFunc(things, func(a, b thing) int { return older(k, a, b) })
	own = map[string]thing{}
	for _, t := range things {
		name, sealed, marked := markOf(k, t)
		_, again := own[name]
		switch {
		case deleted(t):
		case !marked:
			others = append(others, t)
		case !sealed || again:
			notes = append(notes, fmt.Sprintf("the %s %q (%s) was made from our asset %q, as a copy or by another title: it is left alone", k.One(), t.title, t.id, name))
		default:
			if own[name], err = c.whole(ctx, k, t); err != nil {
				return nil, nil, nil, err
			}
		}
	}
	return own, others, notes, nil
}

func deleted(t thing) bool {
	gone, _ := t.body["isDeleted"].(bool)
	return gone
}

// older orders by creation; a kind that does not tell it, by place in the list.
func older(k Kind, a, b thing) int {
	at := kindOf[k].created
	if at == "" {
		return a.place - b.place
	}
	x, y := text(a.body[at]), text(b.body[at])
	n, errN := strconv.ParseInt(x, 10, 64)
	m, errM := strconv.ParseInt(y, 10, 64)
	switch {
	case errN == nil && errM == nil && n != m:
		if n < m {
			return -1
		}
		return 1
	case x != y:
		return strings.Compare(x, y) // RFC 3339, in one zone
	}
	return a.place - b.place
}

// compare is what has to be done with something of ours.
func compare(a Asset, is thing) Change {
	body := a.Body()
	keep(a.Kind, body, is.body)
	change := Change{Action: Keep, Kind: a.Kind, Asset: a.Name, Title: a.Title, ID: is.id}
	change.Differences = differences(comparably(a.Kind, body), comparably(a.Kind, is.body), "")
	if len(change.Differences) > 0 {
		change.Action, change.body = Update, body
	}
	return change
}

// keep takes over what people set in Datadog and the assets do not decide.
func keep(k Kind, body, is map[string]any) {
	from := func(to, of map[string]any, keys ...string) {
		for _, key := range keys {
			if v, ok := of[key]; ok && v != nil {
				to[key] = v
			}
		}
	}
	switch k {
	case Pipelines:
		from(body, is, "is_enabled")
	case Dashboards: // an update replaces the whole
		from(body, is, "notify_list", "restricted_roles", "tags", "template_variable_presets")
	case Monitors:
		from(body, is, "restricted_roles")
		if alike(text(body["type"]), text(is["type"])) {
			from(body, is, "type")
		}
		options, _ := body["options"].(map[string]any)
		theirs, _ := is["options"].(map[string]any)
		for key, v := range theirs {
			if _, ours := options[key]; !ours && options != nil && v != nil {
				options[key] = v
			}
		}
	case Rules:
		from(body, is, "isEnabled")
		ours, _ := body["cases"].([]any)
		theirs, _ := is["cases"].([]any)
		for n := range min(len(ours), len(theirs)) {
			one, _ := ours[n].(map[string]any)
			other, _ := theirs[n].(map[string]any)
			if one != nil {
				from(one, other, "notifications")
			}
		}
	}
}

// alike are the two names that Datadog uses for one type of monitor.
func alike(a, b string) bool {
	of := []string{"query alert", "metric alert"}
	return a != b && slices.Contains(of, a) && slices.Contains(of, b)
}

// comparably is a body in the form in which it can be compared: Datadog does not
// keep the order of tags.
func comparably(k Kind, body map[string]any) map[string]any {
	out := copied(body).(map[string]any) //nolint:errcheck // a copy has the type of the original
	if tags, ok := out["tags"].([]any); ok && k != Dashboards {
		slices.SortFunc(tags, func(a, b any) int { return strings.Compare(text(a), text(b)) })
	}
	return out
}
