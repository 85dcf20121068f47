package auth

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strings"
	"time"
)

// TokenExpiry is the moment until which a token says it is good, in UTC: the
// claim `exp` of a JSON Web Token (RFC 7519). ok is false for a token that is
// none, as Atlassian's API tokens are today, or that does not say. The signature
// is not looked at: nothing is decided by it but when to remind a person.
func TokenExpiry(token Secret) (at time.Time, ok bool) {
	parts := strings.Split(token.Reveal(), ".")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return time.Time{}, false
	}
	var claims struct {
		Expires *float64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Expires == nil {
		return time.Time{}, false
	}
	seconds := *claims.Expires
	// The year 9999; a number beyond it is no date.
	if !(seconds > 0 && seconds < 253402300800) {
		return time.Time{}, false
	}
	return time.Unix(int64(math.Floor(seconds)), 0).UTC(), true
}
