package atlassian

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"atlassian_audit_records/pkg/audit"
)

// Instance is what answers at an address.
type Instance struct {
	// CloudID is the site's id where it is a Cloud site; empty on Data Center.
	CloudID string
	// Product and Version are Data Center's, one of audit.Jira and
	// audit.Confluence.
	Product audit.Product
	Version string
	// Base is where the site or the product begins: scheme and host, on Data
	// Center with the context path.
	Base *url.URL
}

// Cloud reports a Cloud site.
func (i Instance) Cloud() bool { return i.CloudID != "" }

// Detect finds out what answers at an address that a person copied, which may
// lie deep inside: a Cloud site (/_edge/tenant_info), or a product of Data
// Center, which says what it is without a credential (the manifest of its
// application links, as other products of Atlassian's ask for it; Jira's server
// info is documented). o needs no site and no credential.
func Detect(ctx context.Context, at *url.URL, o Options) (Instance, error) {
	root := &url.URL{Scheme: at.Scheme, Host: at.Host}
	o.Site, o.Credential = root, nil
	c, err := New(o)
	if err != nil {
		return Instance{}, err
	}
	id, err := c.CloudID(ctx)
	if err == nil {
		return Instance{CloudID: id, Base: root}, nil
	}
	var failure *Error
	if !errors.As(err, &failure) || failure.Code != CodeCloudID {
		return Instance{}, err // nobody answers there
	}
	for path := strings.TrimRight(at.Path, "/"); ; path = path[:strings.LastIndexByte(path, '/')] {
		base := &url.URL{Scheme: at.Scheme, Host: at.Host, Path: path}
		if found, ok := c.product(ctx, base); ok {
			return found, nil
		}
		if path == "" {
			break
		}
	}
	return Instance{}, &Error{Code: CodeCloudID, Status: failure.Status, Site: at.Host, Person: true, Err: err,
		What: "neither a Cloud site nor Jira or Confluence Data Center answers at this address",
		Next: "give the address that people open in their browser, such as https://example.atlassian.net or https://jira.example.com"}
}

// product asks what product of Data Center begins at base.
func (c *Client) product(ctx context.Context, base *url.URL) (Instance, bool) {
	found := Instance{Base: base}
	ask := func(decode func([]byte) error, path ...string) bool {
		_, err := c.do(ctx, question{client: c.plain, subject: "what the server is", url: base.JoinPath(path...), maxBody: 64 << 10, decode: decode})
		return err == nil
	}
	if ask(func(body []byte) error {
		var m struct{ TypeID, Version string }
		if json.Unmarshal(body, &m) != nil {
			return errNotJSON
		}
		found.Product, found.Version = audit.Product(m.TypeID), clean(m.Version)
		if found.Product != audit.Jira && found.Product != audit.Confluence {
			return fmt.Errorf("it is %s", clean(m.TypeID))
		}
		return nil
	}, "rest", "applinks", "1.0", "manifest") {
		return found, true
	}
	ok := ask(func(body []byte) error {
		var i struct{ BaseURL, Version, DeploymentType string }
		if json.Unmarshal(body, &i) != nil {
			return errNotJSON
		}
		found.Product, found.Version = audit.Jira, clean(i.Version)
		if i.Version == "" || strings.EqualFold(i.DeploymentType, "Cloud") {
			return errors.New("it is no server of Jira's")
		}
		return nil
	}, "rest", "api", "2", "serverInfo")
	return found, ok
}
