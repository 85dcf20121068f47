package kube

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"atlassian_audit_records/pkg/shared"
)

// Write implements shared.Backend; the package's comment says how, and why that is
// enough.
func (s *Store) Write(ctx context.Context, g shared.Grant, w shared.Write) error {
	place, c, err := s.changes(g, w)
	if err != nil {
		return err
	}
	if !g.Held || g.Fence == "" || s.ended(g) {
		return s.lost()
	}
	for range attempts {
		before, err := s.index(ctx, place)
		if err != nil {
			return err
		}
		if before == nil || before.fence() != g.Fence {
			return s.lost()
		}
		for _, key := range w.Same {
			if !s.same(before, key) {
				return shared.ChangedSince(key, s.title)
			}
		}
		changed, err := s.write(ctx, before, c)
		if err != nil {
			return err
		}
		if !changed {
			for i, v := range slices.Concat(w.First, w.Last) {
				n := before.Next + uint64(i)
				s.know(v.Key, &n)
			}
			return nil
		}
	}
	return s.busy("write")
}

func (s *Store) lost() error {
	return &shared.Error{Kind: shared.Lost, What: "the lease in " + s.title + " is not held any more"}
}

// change is a write, by keys within its place.
type change struct {
	keys   []string
	values [][]byte
	drop   []string
}

// changes checks what a write asks for: all of it must stand in the lease's place.
func (s *Store) changes(g shared.Grant, w shared.Write) (string, change, error) {
	var c change
	place, _, err := s.split(g.Key)
	if err != nil {
		return "", c, err
	}
	within := func(key string) (string, error) {
		p, rest, err := s.split(key)
		if err == nil && p != place {
			err = &shared.Error{Kind: shared.Refused, What: fmt.Sprintf("%s cannot be written under the lease of %s", key, place), Next: "use programs of one version"}
		}
		return rest, err
	}
	for _, v := range slices.Concat(w.First, w.Last) {
		key, err := within(v.Key)
		if err != nil {
			return "", c, err
		}
		if len(v.Bytes) > maxValue {
			return "", c, &shared.Error{Kind: shared.Refused, What: fmt.Sprintf("%s would take %d bytes, and %s takes %d", v.Key, len(v.Bytes), s.title, maxValue)}
		}
		c.keys, c.values = append(c.keys, key), append(c.values, v.Bytes)
	}
	for _, k := range w.Drop {
		key, err := within(k)
		if err != nil {
			return "", c, err
		}
		c.drop = append(c.drop, key)
	}
	return place, c, nil
}

// write changes what an index says. changed tells that it changed meanwhile, so
// that nothing of this can be seen.
func (s *Store) write(ctx context.Context, before *index, c change) (changed bool, err error) {
	ix := before.clone()
	dead := ix.Drop
	first := ix.Next
	for range c.keys {
		ix.Drop = append(ix.Drop, ix.Next)
		ix.Next++
	}
	if changed, err = s.put(ctx, ix); changed || err != nil {
		return changed, err
	}
	// From here on nobody can bring the dead back, and the new numbers are ours.
	err = each(ctx, len(dead)+len(c.keys), func(ctx context.Context, i int) error {
		if i < len(dead) {
			return s.removeValue(ctx, ix, dead[i])
		}
		i -= len(dead)
		return s.makeValue(ctx, ix, first+uint64(i), c.values[i])
	})
	if err != nil {
		return false, err
	}
	ix.Drop = nil
	drop := func(key string) {
		if n, ok := ix.Values[key]; ok {
			ix.Drop = append(ix.Drop, n)
			delete(ix.Values, key)
		}
	}
	for i, key := range c.keys {
		drop(key)
		ix.Values[key] = first + uint64(i)
	}
	for _, key := range c.drop {
		drop(key)
	}
	return s.put(ctx, ix)
}

// makeValue makes the object of a value, which belongs to the index: where that is
// removed, the cluster removes its values.
func (s *Store) makeValue(ctx context.Context, ix *index, n uint64, value []byte) error {
	meta := s.meta(s.valueName(ix, n), ix.Place, valueKey)
	meta.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: ix.Name, UID: ix.UID}}
	never := true
	data := map[string][]byte{valueKey: value}
	resource := valueResource(ix)
	var o runtime.Object = &corev1.ConfigMap{ObjectMeta: meta, BinaryData: data, Immutable: &never}
	if resource == secrets {
		o = &corev1.Secret{ObjectMeta: meta, Data: data, Immutable: &never, Type: corev1.SecretTypeOpaque}
	}
	// Nobody else has the number: what is there already is this, from a try whose answer
	// was lost.
	if err := s.api.create(ctx, resource, o); err != nil && !apierrors.IsAlreadyExists(err) {
		return s.failed("write a value", err)
	}
	return nil
}

func (s *Store) removeValue(ctx context.Context, ix *index, n uint64) error {
	if err := s.api.remove(ctx, valueResource(ix), s.valueName(ix, n)); err != nil && !apierrors.IsNotFound(err) {
		return s.failed("remove a value", err)
	}
	return nil
}

// load reads a value. missing tells that its object is not there.
func (s *Store) load(ctx context.Context, ix *index, n uint64) (value []byte, missing bool, err error) {
	name := s.valueName(ix, n)
	var data map[string][]byte
	if valueResource(ix) == secrets {
		o := &corev1.Secret{}
		err = s.api.get(ctx, secrets, name, o)
		data = o.Data
	} else {
		o := &corev1.ConfigMap{}
		err = s.api.get(ctx, configMaps, name, o)
		data = o.BinaryData
	}
	if apierrors.IsNotFound(err) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, s.failed("read a value", err)
	}
	value, ok := data[valueKey]
	if !ok {
		return nil, false, &shared.Error{Kind: shared.Damaged, What: fmt.Sprintf("the object %s in %s holds no value of this program's", name, s.title),
			Next: "find out who writes there"}
	}
	return value, false, nil
}

func valueResource(ix *index) string {
	if isConsent(ix.Place) {
		return secrets
	}
	return configMaps
}
