package kube

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"atlassian_audit_records/pkg/shared"
)

// What every object carries, for people and for what they select.
const (
	labelName     = "app.kubernetes.io/name"
	labelInstance = "app.kubernetes.io/instance"
	labelPart     = "app.kubernetes.io/component"
	program       = "atlassian-audit-records"
	// notePlace is an annotation: whose object it is, as its name cannot always say.
	notePlace = "atlassian-audit-records/place"
)

// split divides a key into its place, the first two segments, and the rest.
func (s *Store) split(key string) (place, rest string, err error) {
	parts := strings.SplitN(key, "/", 3)
	if len(parts) < 3 || !shared.ValidKey(key) {
		return "", "", &shared.Error{Kind: shared.Refused, What: fmt.Sprintf("%s does not take the key %q", s.title, key), Next: "use programs of one version"}
	}
	return parts[0] + "/" + parts[1], parts[2], nil
}

// maxTail leaves room for what else a name of at most 253 letters consists of.
const maxTail = 150

// tail is a place as the end of names. Where it cannot stand in one, as that of a site
// behind a port, it is told by its hash.
func tail(place string) string {
	t := strings.ReplaceAll(place, "/", ".")
	if len(t) <= maxTail && len(validation.IsDNS1123Subdomain(t)) == 0 {
		return t
	}
	return fmt.Sprintf("place.%x", sha256.Sum256([]byte(place)))[:len("place.")+32]
}

// placeName is the name of a place's Lease and of its index.
func (s *Store) placeName(place string) string { return s.name + "." + tail(place) }

// valueName is the name of a value's object. An index that was made anew has an id
// of its own, so that none of the old one's names comes back.
func (s *Store) valueName(ix *index, n uint64) string {
	return s.name + "." + ix.ID + "-" + strconv.FormatUint(n, 10) + "." + tail(ix.Place)
}

func (s *Store) meta(name, place, part string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: s.api.namespace,
		Labels:      map[string]string{labelName: program, labelInstance: s.name, labelPart: part},
		Annotations: map[string]string{notePlace: place}}
}

// isConsent reports whether a place's values are secret.
func isConsent(place string) bool { return strings.HasPrefix(place, "consents/") }
