package check

import (
	"encoding/base64"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"atlassian_audit_records/pkg/auth"
)

// AuthType is how the check proves to Atlassian who it is.
type AuthType string

// The kinds of credential that this version knows; the last two are Data
// Center's.
const (
	APIToken            AuthType = "api_token"
	ServiceAccount      AuthType = "service_account"
	OAuth               AuthType = "oauth"
	PersonalAccessToken AuthType = "personal_access_token"
	Basic               AuthType = "basic"
	// OrganizationKey is an API key of an organisation.
	OrganizationKey AuthType = "organization_api_key"
)

// authTypes are those that a Cloud site's instance may use.
var authTypes = []AuthType{APIToken, ServiceAccount, OAuth}

// everyAuthType are all that there are.
var everyAuthType = append(slices.Clone(authTypes), PersonalAccessToken, Basic, OrganizationKey)

func wordsOf(types []AuthType) []string {
	words := make([]string, len(types))
	for i, t := range types {
		words[i] = string(t)
	}
	return words
}

// Auth is the credential of an instance.
type Auth struct {
	Type AuthType `json:"type"`
	// Email and APIToken belong to APIToken.
	Email    string      `json:"email,omitempty"`
	APIToken auth.Secret `json:"api_token,omitempty"`
	// ClientID and ClientSecret belong to ServiceAccount and OAuth. ClientSecret is
	// read from ClientSecretFile where that is given.
	ClientID         string      `json:"client_id,omitempty"`
	ClientSecret     auth.Secret `json:"client_secret,omitempty"`
	ClientSecretFile string      `json:"client_secret_file,omitempty"`
	// PersonalAccessToken belongs to that type, Username and Password to Basic.
	PersonalAccessToken auth.Secret `json:"personal_access_token,omitempty"`
	Username            string      `json:"username,omitempty"`
	Password            auth.Secret `json:"password,omitempty"`
	// OrganizationKey belongs to the type of that name. It is read from
	// OrganizationKeyFile where that is given.
	OrganizationKey     auth.Secret `json:"organization_api_key,omitempty"`
	OrganizationKeyFile string      `json:"organization_api_key_file,omitempty"`
	// Expires is when the operator says that the credential ends, in UTC; zero
	// where nothing is said.
	Expires time.Time `json:"expires,omitzero"`
}

// secrets are the values that must never be shown: the credential, and the
// forms in which it travels.
func (a Auth) secrets() []string {
	var out []string
	if a.APIToken != "" {
		out = append(out, a.APIToken.Reveal(), base64.StdEncoding.EncodeToString([]byte(a.Email+":"+a.APIToken.Reveal())))
	}
	if a.ClientSecret != "" {
		out = append(out, a.ClientSecret.Reveal())
	}
	if a.PersonalAccessToken != "" {
		out = append(out, a.PersonalAccessToken.Reveal())
	}
	if a.Password != "" {
		out = append(out, a.Password.Reveal(), base64.StdEncoding.EncodeToString([]byte(a.Username+":"+a.Password.Reveal())))
	}
	if a.OrganizationKey != "" {
		out = append(out, a.OrganizationKey.Reveal())
	}
	return out
}

// authOwners says to which type an option of auth belongs.
var authOwners = []struct {
	key   string
	kinds []AuthType
}{
	{"email", []AuthType{APIToken}},
	{"api_token", []AuthType{APIToken}},
	{"client_id", []AuthType{ServiceAccount, OAuth}},
	{"client_secret", []AuthType{ServiceAccount, OAuth}},
	{"client_secret_file", []AuthType{ServiceAccount, OAuth}},
	{"personal_access_token", []AuthType{PersonalAccessToken}},
	{"username", []AuthType{Basic}},
	{"password", []AuthType{Basic}},
	{"organization_api_key", []AuthType{OrganizationKey}},
	{"organization_api_key_file", []AuthType{OrganizationKey}},
}

// listed is some words as a sentence has them: "a, b or c".
func listed[T ~string](words []T) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}

// auth reads the section of that name of an instance.
func (s *section) auth(env Env, d Deployment) Auth {
	f, ok := s.fields["auth"]
	if !ok || f.null() {
		s.addf("auth", "is missing: say how the check signs in, with type %s", listed(d.authTypes()))
		return Auth{}
	}
	a := newSection(s.ps, f.value, s.at("auth"), authSection, s.handles)
	// Whatever the type, what looks like a secret is one.
	for _, key := range []string{"api_token", "client_secret", "personal_access_token", "password", "organization_api_key"} {
		if v, ok := a.fields[key]; ok {
			s.ps.hide(v.value.Value)
			s.ps.hide(strings.TrimSpace(v.value.Value))
		}
	}
	out := Auth{Type: a.authType(d), Expires: a.expires()}
	if out.Type == "" {
		return out
	}
	for _, o := range authOwners {
		if !slices.Contains(o.kinds, out.Type) && a.given(o.key) {
			a.addf(o.key, "belongs to type %s, but type is %s: remove it, or change type", listed(o.kinds), out.Type)
		}
	}
	switch out.Type {
	case APIToken:
		out.Email = a.email()
		out.APIToken = a.required("api_token", "create one at https://id.atlassian.com/manage-profile/security/api-tokens")
	case ServiceAccount, OAuth:
		out.ClientID = a.clientID(out.Type)
		out.ClientSecret, out.ClientSecretFile = a.secretOrFile("client_secret", env)
	case PersonalAccessToken:
		out.PersonalAccessToken = a.required("personal_access_token", "create one in the product, in the account's profile under Personal Access Tokens")
	case Basic:
		out.Username = a.username()
		out.Password = a.password()
	case OrganizationKey:
		out.OrganizationKey, out.OrganizationKeyFile = a.secretOrFile("organization_api_key", env)
	}
	return out
}

// username reads the name of an account of Data Center, which a colon would end
// in an HTTP Basic credential.
func (s *section) username() string {
	return s.checked("username", "give the name that the account signs in with",
		"must be the name that the account signs in with, without a colon or white space at its ends",
		func(v string) bool { return v != "" && strings.TrimSpace(v) == v && !strings.ContainsAny(v, ":\r\n\t") })
}

// password is a secret in which people may have put any character.
func (s *section) password() auth.Secret {
	return auth.Secret(s.checked("password", "put the account's password here, best as a handle of the Agent's secret management, ENC[name]",
		"is empty or holds a line break: copy it anew (a secret backend that ends its answers with a line break does this)",
		func(v string) bool { return v != "" && !strings.ContainsAny(v, "\r\n") }))
}

// authType reads the type; "" where there is none that this version can use.
func (s *section) authType(d Deployment) AuthType {
	if !s.given("type") {
		if s.line > 0 {
			s.addf("type", "is missing: use %s", listed(d.authTypes()))
		}
		return ""
	}
	v, ok := s.str("type")
	if !ok {
		return ""
	}
	kind := AuthType(v)
	if slices.Contains(d.authTypes(), kind) {
		return kind
	}
	switch {
	case d == Organisation && kind != OrganizationKey && slices.Contains(everyAuthType, kind):
		s.addf("type", "%s is not for the log of an organisation: use %s", v, listed(d.authTypes()))
	case kind == PersonalAccessToken || kind == Basic:
		s.addf("type", "%s is for Data Center: use %s, or set deployment: data_center", v, listed(d.authTypes()))
	case slices.Contains(authTypes, kind):
		s.addf("type", "%s is for Atlassian Cloud: use %s, or remove deployment: data_center", v, listed(d.authTypes()))
	case kind == OrganizationKey:
		s.addf("type", "organization_api_key is for the log of an organisation: give organization in the place of site, or use %s", listed(d.authTypes()))
	default:
		if near := nearest(v, wordsOf(append(slices.Clone(authTypes), PersonalAccessToken, OrganizationKey))); near != "" {
			s.addf("type", "is %s: did you mean %s?", shown(v), near)
		} else {
			s.addf("type", "is %s: use %s", shown(v), listed(d.authTypes()))
		}
	}
	return ""
}

// required is secret for an option that must be there; next says where it comes from.
func (s *section) required(key, next string) auth.Secret {
	if _, ok := s.fields[key]; !ok {
		s.addf(key, "is missing: %s", next)
		return ""
	}
	return s.secret(key)
}

// checked is a text that must be there and be good; missing says what to do where it
// is not there, and bad what is wrong with it.
func (s *section) checked(key, missing, bad string, good func(string) bool) string {
	if !s.given(key) {
		s.addf(key, "is missing: %s", missing)
		return ""
	}
	v, ok := s.str(key)
	if !ok {
		return ""
	}
	if !good(v) {
		s.addf(key, "%s", bad)
		return ""
	}
	return v
}

func (s *section) email() string {
	return s.checked("email", "give the address of the account that created the API token", "is not an e-mail address, like audit@example.com", isEmail)
}

func (s *section) clientID(kind AuthType) string {
	of, where := "the service account's credential", "the service account's OAuth 2.0 credential at https://admin.atlassian.com"
	if kind == OAuth {
		of, where = "the app", "the app's Settings at https://developer.atlassian.com/console/myapps"
	}
	return s.checked("client_id", "copy it from "+where, "must be the id of "+of+", without spaces",
		func(v string) bool { return v != "" && badSecret(v) == "" })
}

// secretOrFile reads a secret that stands under key, or in the file that is
// named under key_file.
func (s *section) secretOrFile(key string, env Env) (secret auth.Secret, file string) {
	keyFile := key + "_file"
	_, literal := s.fields[key]
	_, inFile := s.fields[keyFile]
	switch {
	case literal && inFile && s.given(key) && s.given(keyFile):
		s.addf(keyFile, "is given together with %s: remove one of them", key)
		return "", ""
	case literal && !(inFile && s.given(keyFile)):
		secret = s.secret(key)
		if secret != "" && s.ps.lines {
			s.warnf(key, "stands here literally, and the Agent does not hide it in a flare: use a handle of its secret management, ENC[name], or %s", keyFile)
		}
		return secret, ""
	case !s.given(keyFile):
		s.addf(key, "is missing: give %s, or %s with the path of a file that holds it", key, keyFile)
		return "", ""
	}
	file, ok := s.absolute(keyFile)
	if !ok {
		return "", ""
	}
	data, err := env.readSecret(file)
	if err != nil {
		s.addf(keyFile, "%s", err)
		return "", file
	}
	s.ps.hide(string(data))
	if reason := badSecret(string(data)); reason != "" {
		s.addf(keyFile, "the secret in %s %s", file, reason)
		return "", file
	}
	return auth.Secret(data), file
}

// absolute reads the path of a file or folder, which must be absolute: the Agent
// starts a check in no folder that one could rely on.
func (s *section) absolute(key string) (string, bool) {
	v, ok := s.str(key)
	if !ok || v == "" {
		return "", false
	}
	if !filepath.IsAbs(v) {
		s.addf(key, "must be an absolute path")
		return "", false
	}
	return filepath.Clean(v), true
}
