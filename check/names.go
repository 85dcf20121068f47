package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/audit"
)

const (
	// namesGood is how long a name is good, namesAway how long after an account
	// was not shown it is asked for again, namesPause how long nothing is asked
	// after a refusal.
	namesGood  = 24 * time.Hour
	namesAway  = 6 * time.Hour
	namesPause = time.Hour
	// namesForget is when a person who did nothing any more is forgotten.
	namesForget = 30 * 24 * time.Hour
	// namesQuestions bounds the questions of one run and product.
	namesQuestions = 4
	// refusal stands in the state, in the place of an account's id, for the
	// last refusal.
	refusal = "(refused)"
)

// names are the people that a product's records name by their ids. They are
// only ever looked up while lines are made, and asked for when all that there
// was time for is read: what is not known yet goes out without a name.
type names struct {
	known  map[string]audit.Person
	wanted map[string]struct{}
	now    int64
}

// Person implements audit.Names.
func (n *names) Person(id []byte) (audit.Person, bool) {
	p, ok := n.known[string(id)]
	if (!ok || p.Until <= n.now) && len(n.wanted) < namesQuestions*atlassian.MaxUsers && isAccount(string(id)) {
		n.wanted[string(id)] = struct{}{}
	}
	return p, ok
}

// isAccount tells an account's id from the older keys of users, which cannot
// be asked for.
func isAccount(id string) bool {
	return id != "" && !strings.HasPrefix(id, "ug:") && !strings.HasPrefix(id, "qm:")
}

// openNames reads what is remembered of people; nil where names are not wanted.
func (r *run) openNames(s *stream) error {
	if !r.config.ResolveUsers {
		return nil
	}
	known, err := s.store.People()
	if err != nil {
		return err
	}
	s.names = &names{known: known, wanted: map[string]struct{}{}, now: r.options.Now().UnixMilli()}
	return nil
}

// resolve asks for the people that were met and are not known, with what is left
// of the time. Whatever fails is said and nothing else: no record waits for it.
func (r *run) resolve(ctx context.Context, soft time.Time) {
	jira := slices.IndexFunc(r.streams, func(s *stream) bool { return s.product == audit.Jira })
	if jira < 0 || r.streams[jira].source == nil || r.streams[jira].source.good == 0 {
		return
	}
	users, ok := r.streams[jira].source.endpoint.(*atlassian.Source)
	if !ok {
		return // Data Center's records name people themselves
	}
	for _, s := range r.streams {
		if s.names == nil || len(s.names.wanted) == 0 || s.err != nil || s.store == nil || s.names.known[refusal].Until > s.names.now {
			continue
		}
		if found := r.ask(ctx, soft, s, users); len(found) > 0 {
			if err := s.store.KeepPeople(found, s.names.now-namesForget.Milliseconds()); err != nil {
				s.err = r.local(s, err)
			}
		}
	}
}

// ask is what came of the questions, to be remembered.
func (r *run) ask(ctx context.Context, soft time.Time, s *stream, jira *atlassian.Source) map[string]audit.Person {
	until := func(d time.Duration) int64 { return s.names.now + d.Milliseconds() }
	found := map[string]audit.Person{}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(s.names.wanted)), atlassian.MaxUsers) {
		if ctx.Err() != nil || !r.options.Now().Before(soft) {
			break
		}
		people, err := jira.Users(ctx, ids)
		if err != nil {
			if answer := (*atlassian.Error)(nil); errors.As(err, &answer) && ctx.Err() == nil {
				found[refusal] = audit.Person{Until: until(namesPause)}
				text := fmt.Sprintf("resolve_users: %s of %s: people stay without names for %s, nothing else is affected: %s",
					s.product, r.config.Host(), spanned(namesPause), answer.What)
				if answer.Person {
					text += "; names need read:user:jira (or read:jira-user), and an account that may use Jira"
				}
				r.report.Warning(text)
			}
			break
		}
		for _, id := range ids {
			p, ok := people[id]
			if p.Until = until(namesGood); !ok {
				p.Until = until(namesAway)
			}
			found[id] = p
		}
	}
	return found
}
