package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"atlassian_audit_records/pkg/shared"
)

// failed says what an error of the client's means. Of etcd's errors, those that
// pass come with the codes below, and most others need a person.
func (s *Store) failed(doing string, err error) error {
	e := &shared.Error{Kind: shared.Unavailable, What: fmt.Sprintf("could not %s in %s", doing, s.name), Err: plain(err)}
	code := codeOf(err)
	if errors.Is(err, context.DeadlineExceeded) || code == codes.DeadlineExceeded || code == codes.Unavailable {
		s.unanswered(e)
	}
	text := err.Error() + " " + e.Err.Error()
	switch {
	case errors.Is(err, rpctypes.ErrAuthFailed), errors.Is(err, rpctypes.ErrUserEmpty), errors.Is(err, rpctypes.ErrUserNotFound),
		strings.Contains(text, "user name is empty"):
		e.Kind, e.Next = shared.Refused, "check state_username and state_password"
	case errors.Is(err, rpctypes.ErrPermissionDenied), code == codes.PermissionDenied:
		e.Kind, e.Next = shared.Refused, "give the user the right to read and write everything below "+s.prefix
	case errors.Is(err, rpctypes.ErrAuthNotEnabled):
		e.Kind, e.Next = shared.Refused, "leave state_username and state_password out, or enable authentication in etcd"
	case errors.Is(err, rpctypes.ErrNoSpace):
		e.Kind, e.Next = shared.Refused, "etcd has reached its quota: compact and defragment it, then disarm its alarm"
	case errors.Is(err, rpctypes.ErrRequestTooLarge), errors.Is(err, rpctypes.ErrTooManyOps):
		e.Kind, e.Next = shared.Refused, "leave etcd's --max-request-bytes and --max-txn-ops at their defaults, or above"
	case strings.Contains(text, "error reading server preface"), strings.Contains(text, "first record does not look like a TLS handshake"), errors.Is(e.Err, errWantsTLS), errors.Is(e.Err, errNoTLS):
		e.Kind, e.Next = shared.Refused, "check whether etcd wants TLS: it is used unless every host of state is this machine and no certificate is given"
	case strings.Contains(text, "x509:"), strings.Contains(text, "tls:"):
		e.Kind, e.Next = shared.Refused, "check state_tls_ca_cert, state_tls_cert and state_tls_private_key, and the names in etcd's certificate"
	case code == codes.Unauthenticated:
		e.Next = "the next run signs in again"
	}
	return e
}

// codeOf is the code of the RPC; Unknown where there was none.
func codeOf(err error) codes.Code {
	if e := (rpctypes.EtcdError{}); errors.As(err, &e) {
		return e.Code()
	}
	return status.Code(err)
}

// plain is an error without what gRPC puts around it.
func plain(err error) error {
	if s, ok := status.FromError(err); ok && s.Message() != "" && !errors.Is(err, context.Canceled) {
		return errors.New(s.Message())
	}
	return err
}
