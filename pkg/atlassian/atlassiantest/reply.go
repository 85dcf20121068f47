package atlassiantest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// reply is an answer before faults are applied to it: a body, or a list of
// records still to be written.
type reply struct {
	status int
	header http.Header
	body   []byte
	list   *page
	st     *store
}

func jsonReply(status int, body any) reply {
	b, err := json.Marshal(body)
	if err != nil {
		return reply{status: http.StatusInternalServerError}
	}
	return reply{status: status, body: b, header: http.Header{"Content-Type": {"application/json;charset=UTF-8"}}}
}

func htmlReply(status int, body string) reply {
	return reply{status: status, body: []byte(body), header: http.Header{"Content-Type": {"text/html;charset=UTF-8"}}}
}

func (r reply) with(key, value string) reply {
	r.header.Set(key, value)
	return r
}

// jiraError is the shape of Jira's own errors.
func jiraError(status int, message string) reply {
	return jsonReply(status, struct {
		ErrorMessages []string          `json:"errorMessages"`
		Errors        map[string]string `json:"errors"`
	}{[]string{message}, map[string]string{}})
}

// confluenceError is the shape of Confluence's own errors.
func confluenceError(status int, message string) reply {
	return jsonReply(status, struct {
		StatusCode int            `json:"statusCode"`
		Data       map[string]any `json:"data"`
		Message    string         `json:"message"`
	}{status, map[string]any{"authorized": false, "valid": true, "errors": []string{}, "successful": false}, message})
}

// gatewayError is the shape of the gateway's errors.
func gatewayError(status int, message string) reply {
	return jsonReply(status, struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{status, message})
}

func productError(product string, status int, message string) reply {
	switch product {
	case Confluence:
		return confluenceError(status, message)
	case Organization:
		return adminError(status, "ADMIN-"+strconv.Itoa(status)+"-1", http.StatusText(status), message)
	}
	return jiraError(status, message)
}

const loginPage = `<!DOCTYPE html><html><head><title>Log in with Atlassian account</title></head>` +
	`<body><form id="form-login" method="post"><input name="username"><button>Continue</button></form></body></html>`

// reply answers a request as Atlassian would. The order in which it refuses is
// Atlassian's: who, with which scope, with which permission, with what words.
func (s *Server) reply(r *http.Request, i RequestInfo, routes []Route) reply {
	if s.o.DataCenter != nil {
		return s.dataCenterReply(r, i)
	}
	if !slices.Contains(routes, i.Route) {
		return gatewayError(http.StatusNotFound, "Not Found")
	}
	switch i.Kind {
	case KindToken:
		return s.token(r)
	case KindAuthorize:
		return s.authorize(r)
	case KindTenantInfo:
		return jsonReply(http.StatusOK, map[string]string{"cloudId": s.o.CloudID})
	case KindLogin:
		return htmlReply(http.StatusOK, loginPage)
	}

	right, scoped, scopes := s.authenticate(r, i.Route)
	if i.Kind == KindResources {
		if !right || !scoped || i.Auth != AuthBearer {
			return gatewayError(http.StatusUnauthorized, "Unauthorized")
		}
		return s.resources(r, scopes)
	}
	if i.organization != "" && i.organization != s.o.OrganizationID {
		return adminError(http.StatusNotFound, "ADMIN-404-1", "Not Found", "The organization could not be found.")
	}
	if i.Route == RouteGateway && i.organization == "" && i.cloudID != s.o.CloudID {
		return gatewayError(http.StatusNotFound, "Not Found")
	}
	if i.Kind == KindOther {
		if i.Product == Confluence && strings.HasSuffix(i.Path, "/export") {
			return confluenceError(http.StatusNotImplemented, "The export is not simulated.")
		}
		return productError(i.Product, http.StatusNotFound, "null for uri: "+i.Path)
	}
	if !right {
		return unauthorized(i)
	}
	if scoped && (!scopesSuffice(i, scopes) || !s.reaches(r, i.cloudID)) {
		return gatewayError(http.StatusUnauthorized, "Unauthorized; scope does not match").
			with("X-Failure-Category", "FAILURE_CLIENT_SCOPE_CHECK")
	}
	if i.Kind == KindPermissions {
		return s.permissions(s.denial(Jira) == Allowed)
	}
	if i.Kind == KindUsers {
		return s.users(i)
	}
	if d := s.denial(i.Product); d != Allowed {
		return denied(i.Product, d)
	}
	if i.Method != http.MethodGet {
		return productError(i.Product, http.StatusNotImplemented, "Only reading is simulated.")
	}
	if limited, ok := s.limited(i); ok {
		return limited
	}
	var rep reply
	switch {
	case i.Kind == KindRetention:
		return s.retentionReply()
	case i.Product == Jira:
		rep = s.jiraReply(i)
	case i.Product == Organization:
		rep = s.organizationReply(i)
	default:
		rep = s.confluenceReply(i)
	}
	if rep.list != nil {
		s.charge(&rep, i)
	}
	return rep
}

func unauthorized(i RequestInfo) reply {
	if i.Product == Organization {
		return adminError(http.StatusUnauthorized, "ADMIN-401-1", "Unauthorized", "The API key is missing, wrong or expired.")
	}
	if i.Route == RouteGateway {
		return gatewayError(http.StatusUnauthorized, "Unauthorized")
	}
	if i.Product == Confluence {
		return confluenceError(http.StatusUnauthorized, "Basic authentication with passwords is deprecated or the token is wrong.").
			with("WWW-Authenticate", `OAuth realm="simulated"`)
	}
	return jiraError(http.StatusUnauthorized, "Client must be authenticated to access this resource.").
		with("WWW-Authenticate", `OAuth realm="simulated"`)
}

func denied(product string, d Denial) reply {
	texts := map[Denial]map[string]string{
		NotAdmin: {
			Jira:       "You are not authorized to perform this operation. Administrator privileges are required.",
			Confluence: "Only a Confluence Administrator may view the audit log.",

			Organization: "You must be an organization admin to use this API.",
		},
		FreePlan: {
			Jira:       "The audit log is available when at least one Jira product is on a paid plan.",
			Confluence: "Cannot make this request because you are on Free edition. Please upgrade to standard or premium.",
		},
		NoProductAccess: {
			Jira:       "Current user not permitted to use Jira",
			Confluence: "Current user not permitted to use Confluence",
		},
		NoGuard: {Organization: "Forbidden"},
	}
	return productError(product, http.StatusForbidden, texts[d][product])
}
