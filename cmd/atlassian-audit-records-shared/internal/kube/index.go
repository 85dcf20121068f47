package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"atlassian_audit_records/pkg/shared"
)

const (
	indexVersion = 1
	// indexKey and valueKey are where the bytes stand in an object.
	indexKey = "index"
	valueKey = "value"
)

// index is what holds of a place.
type index struct {
	Version int    `json:"version"`
	Place   string `json:"place"`
	// ID is random and made with the index.
	ID string `json:"id"`
	// Term and Lease are the fence: the transitions of the Lease and its uid. Where
	// the lease was released, the latter is empty. The term never goes back.
	Term  int32  `json:"term"`
	Lease string `json:"lease,omitempty"`
	// Values are the numbers of the values by their keys, Next is the next number,
	// and Drop are those that nothing refers to.
	Values map[string]uint64 `json:"values"`
	Next   uint64            `json:"next"`
	Drop   []uint64          `json:"drop,omitempty"`

	metav1.ObjectMeta `json:"-"`
}

func (ix *index) fence() string {
	if ix.Lease == "" {
		return ""
	}
	return fenceOf(ix.Term, ix.Lease)
}

func fenceOf(term int32, uid string) string { return fmt.Sprintf("%d:%s", term, uid) }

// number is that of a key's value; nil where it has none.
func (ix *index) number(key string) *uint64 {
	if n, ok := ix.Values[key]; ok {
		return &n
	}
	return nil
}

// clone is a copy to change.
func (ix *index) clone() *index {
	out := *ix
	out.Values, out.Drop = maps.Clone(ix.Values), slices.Clone(ix.Drop)
	return &out
}

// index reads the index of a place; nil where there is none.
func (s *Store) index(ctx context.Context, place string) (*index, error) {
	name := s.placeName(place)
	o := &corev1.ConfigMap{}
	err := s.api.get(ctx, configMaps, name, o)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, s.failed("read the index", err)
	}
	ix, err := decodeIndex([]byte(o.Data[indexKey]))
	if err != nil || ix.Version == indexVersion && ix.Place != place {
		return nil, &shared.Error{Kind: shared.Damaged, What: fmt.Sprintf("the ConfigMap %s in %s is not, or no more, the index of %s", name, s.title, place), Err: err,
			Next: "find out who writes there; to begin anew from a machine's own state, or with initial_lookback, remove it"}
	}
	if ix.Version > indexVersion {
		return nil, &shared.Error{Kind: shared.Newer, What: fmt.Sprintf("the ConfigMap %s in %s was written by a newer version", name, s.title),
			Next: "use one version of this program on all machines that share the site"}
	}
	ix.ObjectMeta = o.ObjectMeta
	return ix, nil
}

// decodeIndex reads an index. Of one of another version, that alone is of use.
func decodeIndex(body []byte) (*index, error) {
	ix := &index{}
	if err := json.Unmarshal(body, ix); err != nil {
		return nil, err
	}
	if ix.Version > indexVersion {
		return &index{Version: ix.Version}, nil
	}
	sane := ix.Version == indexVersion && ix.ID != "" && ix.Values != nil && countable(ix.Term) && ix.Next < math.MaxInt64
	used := map[uint64]bool{}
	for _, n := range slices.Concat(slices.Collect(maps.Values(ix.Values)), ix.Drop) {
		// One that is to come would be taken for what it is not.
		sane = sane && n < ix.Next && !used[n]
		used[n] = true
	}
	if !sane {
		return nil, errors.New("it contradicts itself")
	}
	return ix, nil
}

// countable reports whether a term can be followed by others. None that was counted up
// to from 0 comes near the end.
func countable(term int32) bool { return 0 <= term && term < math.MaxInt32-1 }

// put writes an index in the place of the one that was read, or makes it where it
// was not there. changed tells that somebody else was faster.
func (s *Store) put(ctx context.Context, ix *index) (changed bool, err error) {
	body, err := json.Marshal(ix)
	if err != nil {
		return false, fmt.Errorf("encode the index: %w", err)
	}
	if len(body) > maxValue {
		return false, &shared.Error{Kind: shared.Refused, What: fmt.Sprintf("the index of %s would take %d bytes, and a ConfigMap takes %d", ix.Place, len(body), maxValue),
			Next: "shorten reconcile_window"}
	}
	o := &corev1.ConfigMap{ObjectMeta: ix.ObjectMeta, Data: map[string]string{indexKey: string(body)}}
	if ix.ResourceVersion == "" {
		err = s.api.create(ctx, configMaps, o)
	} else {
		err = s.api.update(ctx, configMaps, ix.Name, o)
	}
	switch {
	case ix.ResourceVersion == "" && apierrors.IsAlreadyExists(err), ix.ResourceVersion != "" && (apierrors.IsConflict(err) || apierrors.IsNotFound(err)):
		return true, nil
	case err != nil:
		return false, s.failed("write the index", err)
	}
	ix.ObjectMeta = o.ObjectMeta
	return false, nil
}

// newIndex is the index of a place that has none.
func (s *Store) newIndex(place string) *index {
	return &index{Version: indexVersion, Place: place, ID: shared.NewID()[:8], Values: map[string]uint64{}, ObjectMeta: s.meta(s.placeName(place), place, indexKey)}
}
