//go:build unix

package main

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// proxies stand between a machine and etcd, one for each node, and can be cut.
type proxies struct {
	t         *testing.T
	listening []string

	mu    sync.Mutex
	isCut bool
	conns map[net.Conn]bool
}

func newProxies(t *testing.T, endpoints []string) *proxies {
	t.Helper()
	p := &proxies{t: t, conns: map[net.Conn]bool{}}
	var all sync.WaitGroup
	for _, to := range endpoints {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p.listening = append(p.listening, l.Addr().String())
		t.Cleanup(func() { _ = l.Close() })
		all.Go(func() {
			for {
				in, err := l.Accept()
				if err != nil {
					return
				}
				all.Go(func() { p.carry(in, to) })
			}
		})
	}
	t.Cleanup(func() { p.cut(true) })
	return p
}

// carry copies between a connection and the other end until one is closed.
func (p *proxies) carry(in net.Conn, to string) {
	defer in.Close()
	out, err := new(net.Dialer).DialContext(p.t.Context(), "tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	if !p.keep(in, out) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(out, in); _ = out.Close() })
	both.Go(func() { _, _ = io.Copy(in, out); _ = in.Close() })
	both.Wait()
}

// keep notes connections, so that they can be cut; it is not ok where they are.
func (p *proxies) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isCut {
		return false
	}
	for _, c := range conns {
		p.conns[c] = true
	}
	return true
}

// cut ends all connections, and lets no other be made until it is mended.
func (p *proxies) cut(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isCut = cut
	for c := range p.conns {
		_ = c.Close()
		delete(p.conns, c)
	}
}

// url is etcd through the proxies.
func (p *proxies) url(prefix string) string {
	return "etcd://" + strings.Join(p.listening, ",") + "/" + prefix
}
