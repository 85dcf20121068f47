package datadog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// A Result is what became of a change.
type Result struct {
	Change
	Done bool `json:"done"`
	// Error says why it was not done, in one sentence.
	Error string `json:"error,omitempty"`
}

// notTried begins the error of a change that was given up because of another.
const notTried = "not tried"

// Apply makes the changes of a plan in their order, and tells of each when it is
// done. One that Datadog does not take is passed over; a refusal of the keys ends
// its kind; no answer, or a server that stays broken or busy, ends it all. What
// was done stays done, and a new plan finds it.
func (c *Client) Apply(ctx context.Context, plan Plan, tell func(Result)) []Result {
	var out []Result
	var end error
	refused := map[Kind]bool{}
	for _, change := range plan.Changes {
		if change.Action == Keep {
			continue
		}
		r := Result{Change: change}
		switch {
		case end != nil:
			r.Error = notTried
		case refused[change.Kind]:
			r.Error = notTried + ": the keys may not change " + string(change.Kind)
		default:
			id, err := c.apply(ctx, change)
			var failed *APIError
			switch {
			case err == nil:
				r.ID, r.Done = id, true
			case ctx.Err() != nil, !errors.As(err, &failed):
				end = err
			case failed.Status == http.StatusUnauthorized, failed.Status == http.StatusForbidden:
				refused[change.Kind] = true
			case failed.Status == 0, failed.Status == http.StatusTooManyRequests, failed.Status >= http.StatusInternalServerError:
				end = err
			}
			if err != nil {
				r.Error = err.Error() + advice(change.Kind, err)
			}
		}
		tell(r)
		out = append(out, r)
	}
	return out
}

// apply makes one change, and returns the id of the thing.
func (c *Client) apply(ctx context.Context, change Change) (string, error) {
	at := kindOf[change.Kind].path
	if change.Action != Create {
		at += "/" + url.PathEscape(change.ID)
	}
	switch change.Action {
	case Create:
		answer, err := c.call(ctx, http.MethodPost, at, nil, change.body)
		if err != nil {
			return "", err
		}
		made, _ := answer.(map[string]any)
		id := text(made["id"])
		if id == "" {
			return "", fmt.Errorf("create the %s: the answer names no id", change.Kind.One())
		}
		// Without its mark it would be made once more by every run.
		if _, own, _ := markOf(change.Kind, thing{title: text(made[kindOf[change.Kind].title]), body: made}); !own {
			if _, err := c.call(ctx, http.MethodDelete, at+"/"+url.PathEscape(id), nil, nil); err != nil {
				return "", fmt.Errorf("create the %s: Datadog did not keep its mark; remove %s by hand: %w", change.Kind.One(), id, err)
			}
			return "", fmt.Errorf("create the %s: Datadog did not keep its mark, so it was removed again", change.Kind.One())
		}
		return id, nil
	case Update:
		_, err := c.call(ctx, http.MethodPut, at, nil, change.body)
		return change.ID, err
	case Remove:
		_, err := c.call(ctx, http.MethodDelete, at, nil, nil)
		var failed *APIError
		if errors.As(err, &failed) && failed.Status == http.StatusNotFound {
			err = nil // somebody else was faster, or an answer was lost
		}
		return change.ID, err
	}
	return "", fmt.Errorf("there is no action %q", change.Action)
}
