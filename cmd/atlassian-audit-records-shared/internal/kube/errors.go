package kube

import (
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"atlassian_audit_records/pkg/shared"
)

// failed says what an error of the API means. What needs nobody is what the server or
// the way to it may get over by itself.
func (s *Store) failed(doing string, err error) error {
	e := &shared.Error{Kind: shared.Unavailable, What: fmt.Sprintf("could not %s in %s", doing, s.title), Err: err}
	var status apierrors.APIStatus
	answered := errors.As(err, &status)
	text := err.Error()
	switch {
	case answered && apierrors.HasStatusCause(err, "NamespaceTerminating"):
		e.Kind, e.Next = shared.Refused, "the namespace is being removed: make it again, or name another one in state"
	case answered && apierrors.IsForbidden(err) && strings.Contains(text, "exceeded quota"):
		e.Kind, e.Next = shared.Refused, "raise the namespace's quota of objects"
	case answered && apierrors.IsForbidden(err):
		e.Kind, e.Next = shared.Refused, "give the account the Role of packaging/kubernetes/shared-state.yaml"
	case answered && apierrors.IsUnauthorized(err):
		e.Kind, e.Next = shared.Refused, "check the credentials in the kubeconfig, or the pod's service account"
	case answered && apierrors.IsNotFound(err):
		e.Kind, e.Next = shared.Refused, "make the namespace that state names"
	case answered && passes(status.Status()):
	case answered:
		e.Kind, e.Next = shared.Refused, "see what the API server says: an admission policy may forbid it"
	case strings.Contains(text, "x509:"), strings.Contains(text, "tls:"):
		e.Kind, e.Next = shared.Refused, "check the cluster's address and certificate-authority in the kubeconfig"
	case strings.Contains(text, "getting credentials"), strings.Contains(text, "no Auth Provider found"):
		e.Kind, e.Next = shared.Refused, "see that the program that the kubeconfig names for credentials runs for the Agent's user"
	}
	return e
}

// passes reports whether an answer is one that a later try may not get again.
func passes(s metav1.Status) bool {
	return s.Code == 429 || s.Code >= 500 || s.Code == 409 || s.Code == 408 || s.Code == 0
}
