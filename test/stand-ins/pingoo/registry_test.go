package main

import (
	"net/netip"
	"testing"
)

func TestAServiceLosesItsUpstreamsBeforeItGetsNewOnes(t *testing.T) {
	r := newRegistry([]serviceConfig{{name: "grafana", upstreams: []upstreamConfig{{host: "grafana", port: 3000}}}})
	first := []upstream{{address: netip.MustParseAddrPort("172.18.0.2:3000"), host: "grafana"}}
	moved := []upstream{{address: netip.MustParseAddrPort("172.18.0.9:3000"), host: "grafana"}}

	if _, ok := r.pick("grafana"); ok {
		t.Fatal("a name has an upstream before it was looked up")
	}
	r.update("grafana", first)
	if got, _ := r.pick("grafana"); got != first[0] {
		t.Fatalf("got %v", got)
	}
	r.update("grafana", moved)
	if got, ok := r.pick("grafana"); ok {
		t.Fatalf("got %v at once", got)
	}
	r.update("grafana", moved)
	if got, _ := r.pick("grafana"); got != moved[0] {
		t.Fatalf("got %v", got)
	}
}
