package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

// A source opens connections from random addresses of a network, all of which must be the machine's own.
type source struct{ network netip.Prefix }

func newSource(network string) (source, error) {
	if network == "" {
		return source{}, nil
	}
	prefix, err := netip.ParsePrefix(network)
	if err != nil || !prefix.Addr().Is4() {
		return source{}, fmt.Errorf("%q is no IPv4 network in CIDR form", network)
	}
	return source{prefix.Masked()}, nil
}

func (s source) dial(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 10 * time.Second}
	if s.network.IsValid() {
		dialer.LocalAddr = &net.TCPAddr{IP: s.pick().AsSlice()}
	}
	return dialer.DialContext(ctx, "tcp", address)
}

func (s source) pick() netip.Addr {
	address := s.network.Addr().As4()
	number := uint32(address[0])<<24 | uint32(address[1])<<16 | uint32(address[2])<<8 | uint32(address[3])
	number += rand.Uint32N(1 << (32 - s.network.Bits()))
	return netip.AddrFrom4([4]byte{byte(number >> 24), byte(number >> 16), byte(number >> 8), byte(number)})
}

func together(all *sync.WaitGroup, run func()) {
	all.Add(1)
	go func() {
		defer all.Done()
		run()
	}()
}
