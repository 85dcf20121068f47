package atlassiantest

import (
	"net/http"
	"net/url"
)

// user is a person as Jira shows one.
type user struct {
	AccountID   string `json:"accountId"`
	AccountType string `json:"accountType"`
	// Email is missing where the person does not let it be seen.
	Email  string `json:"emailAddress,omitempty"`
	Name   string `json:"displayName"`
	Active bool   `json:"active"`
}

// users answers GET /rest/api/3/user/bulk: whoever is known, the others are
// left out. Of every other person of the corpus the e-mail address is seen.
func (s *Server) users(i RequestInfo) reply {
	v, err := url.ParseQuery(i.RawQuery)
	if err != nil || len(v["accountId"]) == 0 {
		return jiraError(http.StatusBadRequest, "The accountId query parameter needs to be provided")
	}
	known := map[string]user{}
	for _, a := range [][]actor{administrators, engineers, {newcomer, collector}} {
		for _, p := range a {
			known[p.account] = user{p.account, "atlassian", p.mail, p.name, true}
		}
	}
	for n, p := range s.corpus.people {
		u := user{p.account, "atlassian", "", p.name, true}
		if n%2 == 0 {
			u.Email = p.mail
		}
		known[p.account] = u
	}
	found := []user{}
	for _, id := range v["accountId"] {
		if u, ok := known[id]; ok {
			found = append(found, u)
		}
	}
	return jsonReply(http.StatusOK, map[string]any{
		"self": s.siteURL() + i.Path, "maxResults": 200, "startAt": 0, "total": len(found), "isLast": true, "values": found,
	})
}
