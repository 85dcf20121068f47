package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"atlassian_audit_records/pkg/shared"
)

// reachTime is what is left of a question's time to find out why no answer came:
// etcd's client tries again until its time is over, and then says only that.
const reachTime = time.Second

// within is ctx with that time taken off, where there is more.
func within(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok || time.Until(end) < 2*reachTime {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, end.Add(-reachTime))
}

// way is how the nodes are reached.
type way struct {
	endpoints []string
	tls       *tls.Config // nil for none
}

// why is what keeps all nodes from being reached; nil where one is.
func (w way) why() error {
	ctx, cancel := context.WithTimeout(context.Background(), reachTime*8/10)
	defer cancel()
	errs := make(chan error, len(w.endpoints))
	for _, e := range w.endpoints {
		go func() { errs <- w.try(ctx, e) }()
	}
	var first error
	for range w.endpoints {
		err := <-errs
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

var (
	errWantsTLS = errors.New("it speaks TLS, and is asked without")
	errNoTLS    = errors.New("it does not speak TLS")
)

func (w way) try(ctx context.Context, endpoint string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", endpoint)
	if err != nil {
		return err
	}
	defer conn.Close() // nothing was written
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		return err
	}
	if w.tls == nil {
		// Nothing is sent to it but a greeting.
		if tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true}).HandshakeContext(ctx) == nil { //nolint:gosec // it only tells whether TLS is spoken there
			return fmt.Errorf("%s: %w", endpoint, errWantsTLS)
		}
		return nil
	}
	c := w.tls.Clone()
	if c.ServerName == "" {
		c.ServerName = host
	}
	err = tls.Client(conn, c).HandshakeContext(ctx)
	if header := (tls.RecordHeaderError{}); errors.As(err, &header) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", endpoint, errNoTLS)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", endpoint, err)
	}
	return nil
}

// unanswered is what is known of a question that no answer came to.
func (s *Store) unanswered(e *shared.Error) {
	if err := s.way.why(); err != nil {
		e.Err = err
	}
}
