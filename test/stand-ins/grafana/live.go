package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

var pingInterval = 25 * time.Second

// live is Grafana Live: Centrifuge's protocol, version 2, as JSON over a WebSocket.
func (h *handler) live(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || !strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade") {
		http.Error(w, "Bad Request", http.StatusBadRequest)
		return
	}
	if !h.originAllowed(r) {
		slog.Warn("Request Origin is not authorized", "origin", r.Header.Get("Origin"), "host", r.Host, "appUrl", h.settings.rootURL)
		http.Error(w, "Forbidden", http.StatusForbidden)
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // checked above
	if err != nil {
		return
	}
	defer conn.CloseNow()
	client := &liveClient{conn: conn, channels: map[string]bool{}}
	client.serve(r.Context())
}

// originAllowed: no origin, the request's own host, root_url's, or one of the allowed patterns.
func (h *handler) originAllowed(r *http.Request) bool {
	header := r.Header.Get("Origin")
	if header == "" {
		return true
	}
	origin, err := url.Parse(strings.ToLower(header))
	if err != nil {
		return false
	}
	root := h.settings.rootURL
	rootHost := root.Host
	if origin.Port() == "" {
		rootHost = root.Hostname()
	}
	if strings.EqualFold(origin.Host, r.Host) || strings.EqualFold(origin.Scheme, root.Scheme) && strings.EqualFold(origin.Host, rootHost) {
		return true
	}
	for _, pattern := range h.settings.liveOrigins {
		glob := "^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$"
		if matches, _ := regexp.MatchString(glob, header); matches {
			return true
		}
	}
	return false
}

type liveClient struct {
	conn      *websocket.Conn
	connected bool
	channels  map[string]bool
	awaiting  atomic.Bool // a pong
}

type liveCommand struct {
	ID        uint32           `json:"id"`
	Connect   *struct{}        `json:"connect"`
	Subscribe *liveChannel     `json:"subscribe"`
	Unsub     *liveChannel     `json:"unsubscribe"`
	Publish   *json.RawMessage `json:"publish"`
}

type liveChannel struct {
	Channel string `json:"channel"`
}

func (c *liveClient) serve(ctx context.Context) {
	for {
		_, message, err := c.conn.Read(ctx)
		if err != nil {
			return
		}
		for line := range bytes.Lines(message) {
			var command liveCommand
			if err := json.Unmarshal(line, &command); err != nil || !c.handle(ctx, command) {
				_ = c.conn.Close(3501, "bad request")
				return
			}
		}
	}
}

// handle answers one command, or says that the client does not speak the protocol.
func (c *liveClient) handle(ctx context.Context, command liveCommand) bool {
	switch {
	case command.ID == 0:
		c.awaiting.Store(false)
		return c.connected
	case command.Connect != nil && !c.connected:
		c.connected = true
		c.answer(ctx, object{"id": command.ID, "connect": object{
			"client": rand.Text(), "version": version, "ping": int(pingInterval.Seconds()), "pong": true,
		}})
		go c.ping(ctx)
	case !c.connected:
		return false
	case command.Subscribe != nil:
		c.subscribe(ctx, command.ID, command.Subscribe.Channel)
	case command.Unsub != nil:
		delete(c.channels, command.Unsub.Channel)
		c.answer(ctx, object{"id": command.ID, "unsubscribe": object{}})
	default:
		c.answer(ctx, object{"id": command.ID, "error": object{"code": 108, "message": "not available"}})
	}
	return true
}

// A channel is <organisation or namespace>/<scope>/<namespace>/<path>.
var channelPattern = regexp.MustCompile(`^(1|default)/(grafana|plugin|ds|stream|push|watch)/[^/]+/.+$`)

func (c *liveClient) subscribe(ctx context.Context, id uint32, channel string) {
	switch {
	case c.channels[channel]:
		c.answer(ctx, object{"id": id, "error": object{"code": 105, "message": "already subscribed"}})
	case !channelPattern.MatchString(channel):
		c.answer(ctx, object{"id": id, "error": object{"code": 400, "message": "invalid channel ID"}})
	default:
		c.channels[channel] = true
		c.answer(ctx, object{"id": id, "subscribe": object{}})
	}
}

// ping sends an empty object now and then, and gives up on a client that did not answer the last one.
func (c *liveClient) ping(ctx context.Context) {
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if c.awaiting.Swap(true) {
			_ = c.conn.Close(3012, "no pong")
			return
		}
		c.answer(ctx, object{})
	}
}

func (c *liveClient) answer(ctx context.Context, message object) {
	encoded, err := json.Marshal(message)
	if err == nil {
		_ = c.conn.Write(ctx, websocket.MessageText, encoded)
	}
}
