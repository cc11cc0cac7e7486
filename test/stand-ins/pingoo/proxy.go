package main

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

const (
	maxUserAgent  = 256
	maxAddress    = 65534    // bytes of a URL
	maxHTTP2Field = 16 << 10 // bytes of all header fields of a request, each with 32 more (RFC 9113 section 6.5.2)
)

// A router is what one HTTP listener does with a request.
type router struct {
	services []*httpService
	rules    []ruleConfig
	tls      bool
}

func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		respond(w, http.StatusBadGateway, "502 Bad Gateway")
		return
	}
	if status := tooLong(r); status != 0 {
		w.Header()["Content-Type"] = nil
		w.Header().Set("Connection", "close")
		w.WriteHeader(status)
		return
	}
	// A client without a User-Agent, or with a long one, is refused before any rule or route is looked at.
	userAgent := strings.TrimSpace(r.Header.Get("User-Agent"))
	if userAgent == "" || len(userAgent) >= maxUserAgent || strings.ContainsFunc(userAgent, notVisible) {
		respond(w, http.StatusForbidden, "Permission Denied")
		return
	}

	host := requestHost(r)
	variables := map[string]any{
		"http_request": map[string]any{
			"host":       host,
			"path":       strings.TrimRight(r.URL.EscapedPath(), "/"),
			"url":        r.URL.String(),
			"method":     r.Method,
			"user_agent": userAgent,
		},
		"client": map[string]any{
			"ip":          netip.PrefixFrom(client.Addr(), client.Addr().BitLen()),
			"remote_port": int64(client.Port()),
			"asn":         int64(0),
			"country":     "XX",
		},
		"lists": map[string]any{},
	}
	for _, rule := range rt.rules {
		matches, err := rule.expression.matches(variables)
		if err != nil {
			slog.Warn("error executing rule " + rule.name + ": " + err.Error())
		}
		if matches {
			respond(w, http.StatusForbidden, "Permission Denied")
			return
		}
	}
	for _, service := range rt.services {
		matches, err := service.config.route.matches(variables)
		if err != nil {
			slog.Warn("error executing route for service " + service.config.name + ": " + err.Error())
		}
		if matches {
			service.forward(w, r, host, client.Addr(), rt.tls)
			return
		}
	}
	respond(w, http.StatusNotFound, "404 Not Found.")
}

// tooLong is the status with which a request is refused for its length, or 0.
func tooLong(r *http.Request) int {
	if r.ProtoMajor < 2 {
		if len(r.RequestURI) > maxAddress {
			return http.StatusRequestURITooLong
		}
		return 0
	}
	fields := map[string][]string{":method": {r.Method}, ":scheme": {"https"}, ":path": {r.RequestURI}, ":authority": {r.Host}}
	size := 0
	for _, header := range []map[string][]string{fields, r.Header} {
		for name, values := range header {
			for _, value := range values {
				size += len(name) + len(value) + 32
			}
		}
	}
	if size > maxHTTP2Field {
		return http.StatusRequestHeaderFieldsTooLarge
	}
	return 0
}

func notVisible(r rune) bool { return r < ' ' && r != '\t' || r > '~' }

// requestHost is the host as sent: with its port over HTTP/1.1, without it over HTTP/2, in the client's upper and
// lower case, trailing dot included.
func requestHost(r *http.Request) string {
	host := strings.TrimSpace(r.Host)
	if r.ProtoMajor == 2 || r.URL.Host != "" {
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
	}
	return host
}

func respond(w http.ResponseWriter, status int, body string) {
	header := w.Header()
	header["Content-Type"] = nil
	header.Set("Cache-Control", "private, no-cache, no-store, must-revalidate")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// An httpService is an http_proxy with its own connections to its upstreams.
type httpService struct {
	config    serviceConfig
	registry  *registry
	transport *http.Transport
}

func newHTTPService(config serviceConfig, registry *registry) *httpService {
	return &httpService{config: config, registry: registry, transport: &http.Transport{
		DialContext:        (&net.Dialer{Timeout: 4 * time.Second}).DialContext,
		DisableCompression: true,
		IdleConnTimeout:    90 * time.Second,
	}}
}

// Upgrade is among them, with Connection: a WebSocket arrives at the upstream as a plain GET.
var (
	droppedFromRequest = []string{"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate",
		"Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}
	droppedFromResponse = []string{"X-Accel-Buffering", "X-Accel-Charset", "X-Accel-Limit-Rate", "X-Accel-Redirect", "Alt-Svc"}
)

// forward waits for the upstream without a timeout and passes its answer on as it comes.
func (s *httpService) forward(w http.ResponseWriter, r *http.Request, host string, client netip.Addr, overTLS bool) {
	chosen, ok := s.registry.pick(s.config.name)
	if !ok {
		respond(w, http.StatusBadGateway, "502 Bad Gateway")
		return
	}
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.Host = host
	out.URL = &url.URL{
		Scheme: "http", Host: chosen.address.String(),
		Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery,
	}
	if chosen.tls {
		out.URL.Scheme, out.URL.Host = "https", chosen.host
	}
	if len(out.URL.Scheme+"://"+out.URL.Host+r.RequestURI) > maxAddress {
		panic(http.ErrAbortHandler) // Pingoo's task panics; the client sees a connection that ends
	}
	for _, name := range droppedFromRequest {
		out.Header.Del(name)
	}
	out.TransferEncoding, out.Close = nil, false
	out.Header.Set("X-Forwarded-Host", host)
	out.Header.Set("X-Forwarded-Proto", map[bool]string{true: "https", false: "http"}[overTLS])
	// What the client claims is kept in front: only the last address is to be trusted.
	out.Header.Set("X-Forwarded-For", strings.Join(append(r.Header.Values("X-Forwarded-For"), client.String()), ", "))
	out.Header.Set("Pingoo-Client-Ip", client.String())

	response, err := s.transport.RoundTrip(out)
	if err != nil {
		respond(w, http.StatusBadGateway, "502 Bad Gateway")
		return
	}
	defer response.Body.Close()

	header := w.Header()
	header["Content-Type"] = nil // keeps net/http from guessing one
	for name, values := range response.Header {
		header[name] = values
	}
	for _, name := range droppedFromResponse {
		header.Del(name)
	}
	if r.ProtoMajor == 2 {
		header.Del("Connection") // meant for HTTP/1.1 clients, who get to see the upstream's
		header.Del("Keep-Alive")
	}
	header.Set("Server", "pingoo")
	w.WriteHeader(response.StatusCode)
	if err := stream(w, response.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// stream passes on every piece as soon as it is there, beginning with the header.
func stream(w http.ResponseWriter, body io.Reader) error {
	client := http.NewResponseController(w)
	buffer := make([]byte, 32<<10)
	for {
		if err := client.Flush(); err != nil {
			return err
		}
		n, readErr := body.Read(buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return err
			}
		}
		switch {
		case readErr == io.EOF:
			return nil
		case readErr != nil:
			return readErr
		}
	}
}
