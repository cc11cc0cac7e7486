package main

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	refreshInterval = 2 * time.Second
	// How long an address of a name is kept: Docker's DNS answers with a TTL of 600 s, and Pingoo honours it. A
	// container that comes back with another address is gone for that long.
	nameLifetime = 600 * time.Second
)

type upstream struct {
	address netip.AddrPort
	host    string
	tls     bool
}

// The registry keeps each service's upstreams: addresses as configured, names as last looked up.
type registry struct {
	services []serviceConfig
	names    map[string]resolvedName

	mu        sync.RWMutex
	upstreams map[string][]upstream
}

type resolvedName struct {
	addresses []netip.Addr
	expires   time.Time
}

func newRegistry(services []serviceConfig) *registry {
	r := &registry{services: services, names: map[string]resolvedName{}, upstreams: map[string][]upstream{}}
	for _, s := range services {
		r.upstreams[s.name] = r.discover(s, func(string) []netip.Addr { return nil })
	}
	return r
}

// pick chooses at random, without regard to health.
func (r *registry) pick(service string) (upstream, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	candidates := r.upstreams[service]
	if len(candidates) == 0 {
		return upstream{}, false
	}
	return candidates[rand.IntN(len(candidates))], true
}

func (r *registry) run() {
	for {
		for _, s := range r.services {
			r.update(s.name, r.discover(s, r.lookUp))
		}
		time.Sleep(refreshInterval)
	}
}

func (r *registry) discover(s serviceConfig, lookUp func(host string) []netip.Addr) []upstream {
	var found []upstream
	for _, u := range s.upstreams {
		addresses := []netip.Addr{u.ip}
		if !u.ip.IsValid() {
			addresses = lookUp(u.host)
		}
		for _, address := range addresses {
			found = append(found, upstream{netip.AddrPortFrom(address, u.port), u.host, u.tls})
		}
	}
	return found
}

// update keeps a fault of the original: when an address changes, the service first loses all of its upstreams, and has
// the new one only at the next refresh.
func (r *registry) update(service string, fresh []upstream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, old := range r.upstreams[service] {
		if !slices.Contains(fresh, old) {
			delete(r.upstreams, service)
			return
		}
	}
	r.upstreams[service] = fresh
}

func (r *registry) lookUp(host string) []netip.Addr {
	if name := r.names[host]; time.Now().Before(name.expires) {
		return name.addresses
	}
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil {
		addresses, err = net.DefaultResolver.LookupNetIP(ctx, "ip6", host)
	}
	if err != nil {
		return nil
	}
	for i := range addresses {
		addresses[i] = addresses[i].Unmap()
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	r.names[host] = resolvedName{addresses, time.Now().Add(nameLifetime)}
	return addresses
}
