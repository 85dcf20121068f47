package atlassiantest

import (
	"net/http"
	"slices"
	"strings"
)

// resource is a site as the gateway lists those that a token reaches.
type resource struct {
	ID        string   `json:"id"`
	URL       string   `json:"url"`
	Name      string   `json:"name"`
	Scopes    []string `json:"scopes"`
	AvatarURL string   `json:"avatarUrl"`
}

// resources lists each site once for each product that the scopes concern: the
// same id may come twice, as it does at Atlassian. A service account reaches
// the one site, a person's consent those that were consented to.
func (s *Server) resources(r *http.Request, scopes []string) reply {
	sites := []Site{s.ownSite()}
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	s.mu.Lock()
	if g := s.access.issued[token].grant; g != nil {
		sites = slices.Clone(g.sites)
	}
	s.mu.Unlock()
	out := []resource{}
	for _, product := range []string{Jira, Confluence} {
		var mine []string
		for _, scope := range scopes {
			if strings.Contains(scope, product) {
				mine = append(mine, scope)
			}
		}
		for _, site := range sites {
			if len(mine) > 0 {
				out = append(out, resource{site.CloudID, site.URL, site.name(), mine, site.URL + "/avatars/240/flag.png"})
			}
		}
	}
	return jsonReply(http.StatusOK, out)
}

// Site is a site as the consent page offers it.
type Site struct{ CloudID, URL string }

func (s Site) name() string {
	_, host, _ := strings.Cut(s.URL, "://")
	name, _, _ := strings.Cut(host, ".")
	return name
}

func (s *Server) ownSite() Site { return Site{s.o.CloudID, s.siteURL()} }

// permissions answers Jira's mypermissions with the one that audit records need.
func (s *Server) permissions(admin bool) reply {
	type permission struct {
		ID             string `json:"id"`
		Key            string `json:"key"`
		Name           string `json:"name"`
		Type           string `json:"type"`
		Description    string `json:"description"`
		HavePermission bool   `json:"havePermission"`
	}
	return jsonReply(http.StatusOK, map[string]map[string]permission{"permissions": {
		"ADMINISTER": {"0", "ADMINISTER", "Administer Jira", "GLOBAL", "Create and administer projects.", admin},
	}})
}

// retention is how long Confluence says that it keeps audit records.
type retention struct {
	number int
	units  string
}

// SetRetention changes what Confluence answers about its retention, in a number
// of units such as "DAYS" or "MONTHS". Nothing is removed: Purge does that.
func (s *Server) SetRetention(number int, units string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retention = retention{number, units}
}

func (s *Server) retentionReply() reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	return jsonReply(http.StatusOK, map[string]any{"number": s.retention.number, "units": s.retention.units})
}
