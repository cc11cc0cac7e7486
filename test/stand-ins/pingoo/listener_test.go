package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

// start runs a listener of the given protocol in front of a small web server and returns its address.
func start(t *testing.T, protocol string) string {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Upstream-Saw", r.Header.Get("X-Forwarded-For"))
	}))
	t.Cleanup(web.Close)
	target := netip.MustParseAddrPort(web.Listener.Addr().String())
	service := serviceConfig{
		name: "web", tcp: protocol == "tcp+tls",
		upstreams: []upstreamConfig{{host: target.Addr().String(), ip: target.Addr(), port: target.Port()}},
	}
	certificates, err := newCertificates(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	chain, key, err := selfSigned(&x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "known"}, DNSNames: []string{"known.test"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := certificates.install("known.test", chain, key); err != nil {
		t.Fatal(err)
	}
	cfg := &config{services: []serviceConfig{service}}
	lc := listenerConfig{name: "l", protocol: protocol, address: netip.MustParseAddrPort("127.0.0.1:0"), services: []string{"web"}}
	l, err := newListener(lc, cfg, newRegistry(cfg.services), certificates)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.bind(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() { l.run(ctx); close(stopped) }()
	t.Cleanup(func() { stop(); <-stopped })
	return l.socket.Addr().String()
}

func TestTLS(t *testing.T) {
	for _, protocol := range []string{"https", "tcp+tls"} {
		t.Run(protocol, func(t *testing.T) {
			address := start(t, protocol)
			dial := func(cfg *tls.Config) (tls.ConnectionState, error) {
				cfg.InsecureSkipVerify = true
				conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", address, cfg)
				if err != nil {
					return tls.ConnectionState{}, err
				}
				defer conn.Close()
				return conn.ConnectionState(), nil
			}

			state, err := dial(&tls.Config{})
			if err != nil {
				t.Fatal(err)
			}
			if state.Version != tls.VersionTLS13 || state.CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
				t.Errorf("negotiated %x, %s", state.Version, tls.CipherSuiteName(state.CipherSuite))
			}
			for _, only := range []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384} {
				if _, err := dial(&tls.Config{CurvePreferences: []tls.CurveID{only}}); err != nil {
					t.Errorf("%v: %v", only, err)
				}
			}
			if _, err := dial(&tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP521}}); err == nil {
				t.Error("P-521 was accepted")
			}
			if _, err := dial(&tls.Config{MaxVersion: tls.VersionTLS12}); err == nil {
				t.Error("TLS 1.2 was accepted")
			}

			state, err = dial(&tls.Config{NextProtos: []string{"h2", "http/1.1"}})
			want := map[string]string{"https": "h2", "tcp+tls": ""}[protocol]
			if err != nil || state.NegotiatedProtocol != want {
				t.Errorf("ALPN: %q, %v", state.NegotiatedProtocol, err)
			}
			_, err = dial(&tls.Config{NextProtos: []string{"unknown"}})
			if refused := err != nil; refused != (protocol == "https") {
				t.Errorf("unknown ALPN: %v", err)
			}
			state, err = dial(&tls.Config{ServerName: "nobody.test"})
			if err != nil || state.PeerCertificates[0].Subject.CommonName != "Pingoo self-signed certificate" {
				t.Errorf("unknown name: %v", err)
			}
			for _, name := range []string{"known.test", "KNOWN.Test"} {
				state, err = dial(&tls.Config{ServerName: name})
				if err != nil || state.PeerCertificates[0].Subject.CommonName != "known" {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestForwardedAddressIsAppended(t *testing.T) {
	address := start(t, "https")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	request, _ := http.NewRequest(http.MethodGet, "https://"+address+"/", nil)
	request.Header["X-Forwarded-For"] = []string{"6.6.6.6", "5.5.5.5"}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got := response.Header.Get("X-Upstream-Saw"); got != "6.6.6.6, 5.5.5.5, 127.0.0.1" {
		t.Errorf("X-Forwarded-For: %s", got)
	}
}
