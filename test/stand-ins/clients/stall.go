package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// stopping sends so much of what a client says and then waits until somebody ends the connection.
type stopping struct {
	net.Conn
	whole  int // writes that pass
	say    func(conn net.Conn, data []byte)
	writes int
}

func (s *stopping) Write(data []byte) (int, error) {
	if s.writes++; s.writes <= s.whole {
		return s.Conn.Write(data)
	}
	if s.say != nil {
		s.say(s.Conn, data)
	}
	_, _ = io.Copy(io.Discard, s.Conn)
	return 0, io.ErrClosedPipe
}

var kinds = map[string]func(net.Conn) net.Conn{
	"silent": func(conn net.Conn) net.Conn { return &stopping{Conn: conn} },
	"partial": func(conn net.Conn) net.Conn {
		return &stopping{Conn: conn, say: func(conn net.Conn, data []byte) { _, _ = conn.Write(data[:len(data)/2]) }}
	},
	"hello": func(conn net.Conn) net.Conn { return &stopping{Conn: conn, whole: 1} },
	"trickle": func(conn net.Conn) net.Conn {
		return &stopping{Conn: conn, say: func(conn net.Conn, data []byte) {
			for _, one := range data {
				if _, err := conn.Write([]byte{one}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}}
	},
}

type stalled struct {
	// Connections that were made, and those that somebody else ended.
	Connections int64 `json:"connections"`
	Ended       int64 `json:"ended"`
}

// stall keeps so many connections open that never finish their handshake: each one that is ended comes again at once.
func stall(o options, s source) (stalled, error) {
	wrap, known := kinds[o.kind]
	if !known {
		return stalled{}, fmt.Errorf("%q is no way to stall", o.kind)
	}
	ctx, cancel := context.WithTimeout(context.Background(), o.lasting)
	defer cancel()
	var made, ended atomic.Int64
	var all sync.WaitGroup
	for range o.concurrency {
		together(&all, func() {
			for ctx.Err() == nil {
				conn, err := s.dial(ctx, o.address)
				if err != nil {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				made.Add(1)
				stop := context.AfterFunc(ctx, func() { conn.Close() })
				_ = tls.Client(wrap(conn), &tls.Config{ServerName: o.name, InsecureSkipVerify: true}).Handshake()
				if stop() {
					ended.Add(1)
				}
				conn.Close()
			}
		})
	}
	all.Wait()
	return stalled{made.Load(), ended.Load()}, nil
}
