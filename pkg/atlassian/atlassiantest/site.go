package atlassiantest

import (
	"net/http"
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

// resources lists the site once for each product that the scopes concern: the
// same id may come twice, as it does at Atlassian.
func (s *Server) resources(scopes []string) reply {
	site := s.siteURL()
	_, host, _ := strings.Cut(site, "://")
	name, _, _ := strings.Cut(host, ".")
	out := []resource{}
	for _, product := range []string{Jira, Confluence} {
		var mine []string
		for _, scope := range scopes {
			if strings.Contains(scope, product) {
				mine = append(mine, scope)
			}
		}
		if len(mine) > 0 {
			out = append(out, resource{s.o.CloudID, site, name, mine, site + "/avatars/240/flag.png"})
		}
	}
	return jsonReply(http.StatusOK, out)
}

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
