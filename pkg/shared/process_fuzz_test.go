package shared

import "testing"

// input takes what is asked, and has it answered.
type input struct {
	asked  int
	answer []byte
	lines  chan<- []byte
}

func (in *input) Write(b []byte) (int, error) {
	in.asked++
	in.lines <- in.answer
	return len(b), nil
}

func (*input) Close() error { return nil }

// FuzzReply: whatever the program answers, an error has a kind, and after one that
// could not be read nothing more is asked.
func FuzzReply(f *testing.F) {
	f.Add([]byte(`{"grant":{"held":true,"holder":{"node":"1","host":"web-1","since":"2026-11-23T12:00:00Z"},"ttl":180000000000,"key":"k","fence":"7","memory":"MQ=="}}`))
	f.Add([]byte(`{"values":{"k":"AAE="},"limits":{"value":1048576,"piece":131072}}`))
	f.Add([]byte(`{"error":{"kind":"lost","what":"the lease is not held any more","next":"nothing"}}`))
	f.Add([]byte(`{"error":{}}`))
	f.Add([]byte(`{"values":{"k":7}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		for doing, ask := range map[string]func(p *process) error{
			"hold": func(p *process) error {
				g, err := p.Hold(t.Context(), Claim{Key: "k"})
				if err != nil && g.Held {
					t.Errorf("%+v beside the error %v", g, err)
				}
				return err
			},
			"release": func(p *process) error { return p.Release(t.Context(), Claim{Key: "k"}, Grant{Held: true}) },
			"read": func(p *process) error {
				values, err := p.Read(t.Context(), []string{"k"})
				if values == nil {
					t.Error("no values at all")
				}
				return err
			},
			"write": func(p *process) error { return p.Write(t.Context(), Grant{Held: true}, Write{}) },
		} {
			lines := make(chan []byte, 1)
			in := &input{answer: line, lines: lines}
			p := &process{name: "etcd", in: in, lines: lines, said: &tail{}}
			err := ask(p)
			if err != nil && (KindOf(err) == "" || err.Error() == "") {
				t.Errorf("%s: %#v is of no kind", doing, err)
			}
			if p.broken == nil {
				continue
			}
			if again := ask(p); KindOf(again) != Unavailable || in.asked != 1 {
				t.Errorf("%s: behind an answer that could not be read it was asked %d times: %v", doing, in.asked, again)
			}
		}
	})
}
