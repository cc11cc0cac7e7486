package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/acme"
)

const (
	gracePeriod = 20 * time.Second
	soReusePort = 15 // Linux; package syscall has it for some architectures only
)

// A listener accepts one connection, finishes its handshake, hands it over and only then looks at the next one, or at
// the signal to shut down. Handshakes have no timeout: a client that stalls in one keeps everybody else out.
type listener struct {
	config listenerConfig
	tls    *tls.Config // nil for plain listeners
	socket *net.TCPListener
	serve  func(net.Conn)
	drain  func()
}

func newListener(lc listenerConfig, cfg *config, registry *registry, certificates *certificates) (*listener, error) {
	l := &listener{config: lc}
	if lc.tcp() {
		service, _ := cfg.service(lc.services[0])
		if !service.tcp {
			return nil, crash(fmt.Sprintf("pingoo/server.rs: TCP service not found for %s listener", lc.protocol))
		}
		if lc.tls() {
			l.tls = certificates.tlsConfig() // no ALPN: HTTP/2 is never agreed upon here
		}
		l.serve = func(conn net.Conn) { go pipe(conn, registry, service.name) }
		l.drain = func() {} // open connections end with the process
		return l, nil
	}

	services := make([]*httpService, 0, len(lc.services))
	for _, name := range lc.services {
		service, _ := cfg.service(name)
		if service.tcp {
			return nil, crash("pingoo/server.rs: called `Option::unwrap()` on a `None` value")
		}
		services = append(services, newHTTPService(service, registry))
	}
	if lc.tls() {
		l.tls = certificates.tlsConfig("h2", "http/1.1")
	}
	server := newHTTPServer(&router{services: services, rules: cfg.rules, tls: lc.tls()})
	l.serve, l.drain = server.serve, server.drain
	return l, nil
}

// bind shares the port with any other process that asks for it too, so that starting Pingoo twice goes unnoticed.
func (l *listener) bind() error {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if controlErr := raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, soReusePort, 1)
		}); controlErr != nil {
			return controlErr
		}
		return err
	}}
	socket, err := config.Listen(context.Background(), "tcp4", l.config.address.String())
	if err != nil {
		var errno syscall.Errno
		errors.As(err, &errno)
		kind := map[syscall.Errno]string{syscall.EADDRINUSE: "AddrInUse", syscall.EACCES: "PermissionDenied"}[errno]
		return fmt.Errorf("Listening { listener: %q, address: %s, err: Os { code: %d, kind: %s, message: %q } }",
			l.config.name, l.config.address, int(errno), kind, capitalized(errno.Error()))
	}
	l.socket = socket.(*net.TCPListener)
	return nil
}

func (l *listener) run(shutdown context.Context) {
	// The deadline wakes a waiting accept. The socket stays open, unattended, until the process ends.
	context.AfterFunc(shutdown, func() { _ = l.socket.SetDeadline(time.Unix(1, 0)) })
	for {
		conn, err := l.socket.Accept()
		if shutdown.Err() != nil {
			break
		}
		if err != nil {
			continue
		}
		if ready, ok := l.handshake(conn); ok {
			l.serve(ready)
		}
	}
	l.drain()
}

// handshake answers a tls-alpn-01 challenge on its way; such a connection has no further use.
func (l *listener) handshake(conn net.Conn) (net.Conn, bool) {
	if l.tls == nil {
		return conn, true
	}
	secured := tls.Server(conn, l.tls)
	if err := secured.Handshake(); err != nil {
		conn.Close()
		return nil, false
	}
	if secured.ConnectionState().NegotiatedProtocol == acme.ALPNProto {
		secured.Close()
		return nil, false
	}
	return secured, true
}

// pipe copies bytes between a client and a TCP service. Without an upstream the client's connection is just closed.
func pipe(client net.Conn, registry *registry, service string) {
	defer client.Close()
	upstream, err := dial(registry, service)
	if err != nil {
		return
	}
	defer upstream.Close()

	var directions sync.WaitGroup
	forward := func(to, from net.Conn) {
		defer directions.Done()
		if _, err := io.Copy(to, from); err != nil {
			to.Close()
			from.Close()
			return
		}
		if half, ok := to.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}
	directions.Add(2)
	go forward(upstream, client)
	go forward(client, upstream)
	directions.Wait()
}

func dial(registry *registry, service string) (conn net.Conn, err error) {
	for range 3 {
		chosen, ok := registry.pick(service)
		err = fmt.Errorf("no upstream available")
		if ok {
			if conn, err = net.DialTimeout("tcp", chosen.address.String(), 3*time.Second); err == nil {
				return conn, nil
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil, err
}

// An httpServer serves connections whose handshake is done.
type httpServer struct {
	server *http.Server
	queue  *handover

	mu     sync.Mutex
	unused map[net.Conn]struct{} // connections that have not sent a request yet
}

func newHTTPServer(handler http.Handler) *httpServer {
	s := &httpServer{queue: &handover{conns: make(chan net.Conn), closed: make(chan struct{})}, unused: map[net.Conn]struct{}{}}
	s.server = &http.Server{Handler: handler, ConnState: s.track, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = s.server.Serve(s.queue) }()
	return s
}

func (s *httpServer) serve(conn net.Conn) { s.queue.conns <- conn }

// drain lets requests in flight finish for a while and closes what is idle.
func (s *httpServer) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), gracePeriod)
	defer cancel()
	s.mu.Lock()
	for conn := range s.unused {
		conn.Close()
	}
	s.mu.Unlock()
	_ = s.server.Shutdown(ctx)
}

func (s *httpServer) track(conn net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == http.StateNew {
		s.unused[conn] = struct{}{}
	} else {
		delete(s.unused, conn)
	}
}

// handover is a net.Listener that is fed by hand.
type handover struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *handover) Addr() net.Addr { return &net.TCPAddr{} }
