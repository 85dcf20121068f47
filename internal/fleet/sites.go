package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// The sites are simulated in a process of their own, so that what the model of the
// Agent measures is not what the sites need.

// sitesWord is the argument that makes this program the sites.
const sitesWord = "sites"

var products = []string{atlassiantest.Jira, atlassiantest.Confluence}

// An order is what the process of the sites is told, one JSON line each.
type order struct {
	// Ahead is set from now on: how far the clock is ahead of the system's.
	Ahead time.Duration `json:"ahead"`
	// Add is how many records each product of each Every-th site gets now.
	Add   int `json:"add"`
	Every int `json:"every"`
	// Keys asks for those of all records.
	Keys bool `json:"keys"`
}

// An account is the answer to an order.
type account struct {
	// Sites are told once, in the first answer.
	Sites []place `json:"sites,omitempty"`
	// Records are how many all sites hold together, Requests how many questions for
	// audit records were asked since the last order, Others what else was.
	Records  int      `json:"records"`
	Requests int      `json:"requests"`
	Others   int      `json:"others"`
	Keys     []string `json:"keys,omitempty"`
}

// A place is where a site is, and how to sign in.
type place struct{ URL, Email, Token string }

// serveSites runs n sites, each on a port of its own, and obeys orders until there
// are no more. Each begins with first records a product.
func serveSites(n, first int, in io.Reader, out io.Writer) (err error) {
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	var sites []*atlassiantest.Server
	answer := account{}
	for i := range n {
		s := atlassiantest.New(atlassiantest.Options{
			Seed: uint64(i + 1), Now: now, CloudID: fmt.Sprintf("f1ee7000-0000-4000-8000-%012x", i), LogSize: 100,
		})
		s.Fill(first*len(products), 12*time.Hour)
		url, shut, listenErr := s.Listen("127.0.0.1:0")
		if listenErr != nil {
			return listenErr
		}
		defer func() { err = errors.Join(err, shut()) }()
		sites = append(sites, s)
		answer.Sites = append(answer.Sites, place{url, s.Options().Email, s.Options().ClassicToken})
	}
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		answer.Records, answer.Requests, answer.Others = 0, 0, 0
		for _, s := range sites {
			audit := s.Count(atlassiantest.KindAudit) + s.Count(atlassiantest.KindAuditSince)
			answer.Requests += audit
			answer.Others += len(s.Requests()) - audit
			for _, p := range products {
				answer.Records += s.Len(p)
			}
			s.ForgetRequests()
		}
		if err := answers.Encode(answer); err != nil {
			return fmt.Errorf("answer an order: %w", err)
		}
		answer = account{}
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read an order: %w", err)
		}
		ahead.Store(int64(o.Ahead))
		for i, s := range sites {
			for _, p := range products {
				if o.Add > 0 && i%o.Every == 0 {
					s.AddLate(p, o.Add, time.Second)
				}
				if o.Keys {
					for _, r := range s.Records(p) {
						answer.Keys = append(answer.Keys, r.Key)
					}
				}
			}
		}
	}
}

// fleetSites is the process of the sites, as the model of the Agent sees it.
type fleetSites struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	orders *json.Encoder
	out    *json.Decoder
	places []place
}

func startSites(self string, n, first int) (*fleetSites, error) {
	cmd := exec.Command(self, sitesWord, fmt.Sprint(n), fmt.Sprint(first)) //nolint:noctx,gosec // it ends when its input does; it is this program
	cmd.Env = append(os.Environ(), roleVariable+"=yes")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the sites: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the sites: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the sites: %w", err)
	}
	f := &fleetSites{cmd: cmd, in: in, orders: json.NewEncoder(in), out: json.NewDecoder(bufio.NewReader(out))}
	var a account
	if err := f.out.Decode(&a); err != nil {
		return nil, errors.Join(fmt.Errorf("the sites did not begin: %w", err), f.end())
	}
	f.places = a.Sites
	return f, nil
}

// tell gives an order, and is what happened since the one before.
func (f *fleetSites) tell(o order) (a account, err error) {
	if err = f.orders.Encode(o); err == nil {
		err = f.out.Decode(&a)
	}
	if err != nil {
		return a, fmt.Errorf("tell the sites what to do: %w", err)
	}
	return a, nil
}

func (f *fleetSites) end() error {
	_ = f.in.Close() // which ends it
	if err := f.cmd.Wait(); err != nil {
		return fmt.Errorf("the sites ended: %w", err)
	}
	return nil
}
