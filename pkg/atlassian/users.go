package atlassian

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"

	"atlassian_audit_records/pkg/audit"
)

const (
	// MaxUsers is how many people one question may be about. Jira takes 200; the
	// ids stand in the address, and a long one is refused (400 or 414, observed).
	MaxUsers = 50
	// usersPath is Jira's "bulk get users" (documented). It needs permission to
	// use Jira, and read:jira-user (classic) or read:user:jira (granular). An
	// e-mail address comes only where the person, or who manages the account,
	// lets it be seen.
	usersPath = "/rest/api/3/user/bulk"
)

var errNotUsers = errors.New("it has no list of people")

// Users asks Jira for people by their account ids, at most MaxUsers. Those of
// whom it shows nothing are missing from the answer. It asks on the route that
// the audit log is asked on, and is of use for Jira on Cloud only. An error is
// an *Error.
func (s *Source) Users(ctx context.Context, ids []string) (map[string]audit.Person, error) {
	ids = ids[:min(len(ids), MaxUsers)]
	u, err := s.addressOf(s.route, usersPath)
	if err != nil {
		return nil, err
	}
	u.RawQuery = url.Values{"accountId": ids, "maxResults": {strconv.Itoa(MaxUsers)}}.Encode()
	out := map[string]audit.Person{}
	_, err = s.c.do(ctx, question{
		client:  s.c.authed,
		product: s.name,
		subject: "the names of people",
		url:     u,
		maxBody: 1 << 20,
		decode: func(body []byte) error {
			var page struct {
				Values *[]struct {
					AccountID string `json:"accountId"`
					Name      string `json:"displayName"`
					Email     string `json:"emailAddress"`
				} `json:"values"`
			}
			if err := json.Unmarshal(body, &page); err != nil || page.Values == nil {
				return errNotUsers
			}
			for _, v := range *page.Values {
				if v.AccountID != "" {
					out[v.AccountID] = audit.Person{Name: v.Name, Email: v.Email}
				}
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
