package atlassian

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// CloudID looks up the site's cloudId, a UUID in lower case, without using a
// credential. The resource (/_edge/tenant_info) is not documented, but is what
// everybody uses. The answer is kept for the client's lifetime.
func (c *Client) CloudID(ctx context.Context) (string, error) {
	c.mu.Lock()
	id := c.cloudID
	c.mu.Unlock()
	if id != "" {
		return id, nil
	}
	_, err := c.do(ctx, question{
		client:  c.plain,
		url:     c.site.JoinPath("/_edge/tenant_info"),
		maxBody: 64 << 10,
		decode: func(body []byte) (err error) {
			id, err = decodeTenant(body)
			return err
		},
	})
	if err != nil {
		return "", c.cloudIDError(err)
	}
	c.mu.Lock()
	c.cloudID = id
	c.mu.Unlock()
	return id, nil
}

// cloudIDError turns "that is no answer" into what it means here: that the
// site does not exist, or is no Cloud site.
func (c *Client) cloudIDError(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case CodeLoginPage, CodeNotFound, CodeInvalidAnswer, CodeRedirect, CodeBadRequest,
		CodeUnauthorized, CodeScope, CodeNotAdmin, CodeForbidden, CodeNoProductAccess, CodePlan, CodeTooLarge:
	default:
		return err
	}
	answer := "something other than a cloudId"
	if e.Status != 0 && e.Status != http.StatusOK {
		answer = fmt.Sprintf("status %d", e.Status)
	}
	return &Error{
		Code:   CodeCloudID,
		Status: e.Status,
		What:   "the site's cloudId could not be looked up: " + c.site.Host + " answered with " + answer,
		Next:   "check `site`: it must be the address of an existing Atlassian Cloud site, such as https://example.atlassian.net",
		Site:   c.name,
		Person: true,
		Err:    err,
	}
}

func decodeTenant(body []byte) (string, error) {
	var t struct {
		CloudID string `json:"cloudId"`
	}
	if err := json.Unmarshal(body, &t); err != nil {
		return "", errNotJSON
	}
	id := strings.ToLower(t.CloudID)
	if !isUUID(id) {
		return "", errors.New("its cloudId is not a UUID")
	}
	return id, nil
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch i {
		case 8, 13, 18, 23:
			if s[i] != '-' {
				return false
			}
		default:
			if !hex(s[i]) {
				return false
			}
		}
	}
	return true
}
