package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const dataSources = `
apiVersion: 1
datasources:
  - { name: Prometheus, uid: prometheus, type: prometheus, access: proxy, url: $PROMETHEUS, isDefault: true, editable: false }
`

const providers = `
apiVersion: 1
providers:
  - { name: torrust, folder: Torrust, type: file, options: { path: $DASHBOARDS } }
`

func write(t *testing.T, folder, name, content string) {
	t.Helper()
	file := filepath.Join(folder, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func startGrafana(t *testing.T, data string, environment ...string) (*httptest.Server, *handler) {
	t.Helper()
	if _, err := exec.LookPath("sqlite3"); err != nil {
		t.Skip("needs the sqlite3 command")
	}
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.RequestURI()+" "+r.Header.Get("Authorization"))
	}))
	t.Cleanup(prometheus.Close)
	folder := t.TempDir()
	t.Setenv("PROMETHEUS", prometheus.URL)
	t.Setenv("DASHBOARDS", filepath.Join(folder, "dashboards", "torrust"))
	write(t, folder, "datasources/prometheus.yml", dataSources)
	write(t, folder, "dashboards/provider.yml", providers)
	write(t, folder, "dashboards/torrust/tracker.json", `{"uid": "tracker", "title": "Torrust Tracker", "panels": []}`)
	write(t, folder, "dashboards/torrust/broken.json", `{`)

	s, err := settingsFromEnvironment(append(environment, "GF_PATHS_DATA="+data))
	if err != nil {
		t.Fatal(err)
	}
	u, err := openUsers(s)
	if err != nil {
		t.Fatal(err)
	}
	p, err := readProvisioning(folder)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(newHandler(s, u, p))
	t.Cleanup(server.Close)
	return server, &handler{s, u, p}
}

func get(t *testing.T, url, password string) (int, string) {
	t.Helper()
	request, _ := http.NewRequest(http.MethodGet, url, nil)
	if password != "" {
		request.SetBasicAuth("admin", password)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(body)
}

func TestTheFirstPasswordStays(t *testing.T) {
	data := t.TempDir()
	secret := filepath.Join(t.TempDir(), "password")
	write(t, filepath.Dir(secret), "password", "it's the first\n")
	first, _ := startGrafana(t, data, "GF_SECURITY_ADMIN_PASSWORD__FILE="+secret)
	if status, body := get(t, first.URL+"/api/user", "it's the first"); status != 200 || !strings.Contains(body, `"login":"admin"`) {
		t.Fatalf("%d %s", status, body)
	}
	again, _ := startGrafana(t, data, "GF_SECURITY_ADMIN_PASSWORD=second")
	if status, _ := get(t, again.URL+"/api/user", "second"); status != 401 {
		t.Errorf("the changed password: %d", status)
	}
	if status, _ := get(t, again.URL+"/api/user", "it's the first"); status != 200 {
		t.Errorf("the first password: %d", status)
	}
}

func TestResetPassword(t *testing.T) {
	data, home := t.TempDir(), t.TempDir()
	write(t, home, "bin/grafana", "")
	startGrafana(t, data, "GF_SECURITY_ADMIN_PASSWORD=first")
	reset := func(homepath, input string, arguments ...string) error {
		arguments = append([]string{"--homepath", homepath, "--config", "/etc/grafana/grafana.ini", "admin", "reset-admin-password"}, arguments...)
		return cli(arguments, strings.NewReader(input), io.Discard,
			[]string{"GF_PATHS_DATA=" + data, "GF_SECURITY_ADMIN_PASSWORD__FILE=/not/read"})
	}
	for want, err := range map[string]error{
		"can't read password": reset(home, "", "--password-from-stdin"),
		"too short":           reset(home, "four", "--password-from-stdin"),
		"homepath":            reset(data, "a second", "--password-from-stdin"),
		"not-a-flag":          reset(home, "a second", "--not-a-flag"),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
	if err := reset(home, "a second", "--password-from-stdin"); err != nil {
		t.Fatal(err)
	}
	again, _ := startGrafana(t, data, "GF_SECURITY_ADMIN_PASSWORD=third")
	for password, want := range map[string]int{"first": 401, "third": 401, "a second": 200} {
		if status, _ := get(t, again.URL+"/api/user", password); status != want {
			t.Errorf("%s: %d", password, status)
		}
	}
}

func TestBothPasswordSettings(t *testing.T) {
	_, err := settingsFromEnvironment([]string{"GF_SECURITY_ADMIN_PASSWORD=a", "GF_SECURITY_ADMIN_PASSWORD__FILE=/b"})
	if err == nil || !strings.Contains(err.Error(), "exclusive") {
		t.Errorf("got %v", err)
	}
}

func TestAPI(t *testing.T) {
	server, _ := startGrafana(t, t.TempDir(), "GF_SECURITY_ADMIN_PASSWORD=secret")
	for _, test := range []struct {
		path, password string
		status         int
		contains       string
	}{
		{"/api/health", "", 200, `"database":"ok"`},
		{"/", "", 302, "/login"},
		{"/login", "", 200, "<title>Grafana</title>"},
		{"/", "secret", 200, "<title>Grafana</title>"},
		{"/api/datasources", "", 401, "Unauthorized"},
		{"/api/datasources", "wrong", 401, "Invalid username or password"},
		{"/api/datasources", "secret", 200, `"uid":"prometheus"`},
		{"/api/datasources/uid/prometheus", "secret", 200, `"readOnly":true`},
		{"/api/datasources/uid/none", "secret", 404, "not found"},
		{"/api/datasources/uid/prometheus/health", "secret", 200, `"status":"OK"`},
		{"/api/datasources/proxy/uid/prometheus/api/v1/query?query=up", "", 401, ""},
		{"/api/search?type=dash-db", "secret", 200, `"url":"/d/tracker/torrust-tracker"`},
		{"/api/dashboards/uid/tracker", "secret", 200, `"provisioned":true`},
		{"/api/dashboards/uid/none", "secret", 404, ""},
		{"/api/live/ws", "", 401, ""},
		{"/api/live/ws", "secret", 400, ""},
		{"/api/nothing", "secret", 404, ""},
	} {
		if status, body := get(t, server.URL+test.path, test.password); status != test.status || !strings.Contains(body, test.contains) {
			t.Errorf("%s with %q: %d %s", test.path, test.password, status, body)
		}
	}
	// Exactly this: the path as asked for, and nothing of Grafana's own credentials.
	_, body := get(t, server.URL+"/api/datasources/proxy/uid/prometheus/api/v1/query?query=up", "secret")
	if body != "/api/v1/query?query=up " {
		t.Errorf("the data source got %q", body)
	}
}

func TestEnforceDomain(t *testing.T) {
	server, _ := startGrafana(t, t.TempDir(),
		"GF_SERVER_DOMAIN=grafana.test", "GF_SERVER_ROOT_URL=https://%(domain)s:3443/", "GF_SERVER_ENFORCE_DOMAIN=true")
	if status, body := get(t, server.URL+"/login", ""); status != 301 || !strings.Contains(body, "https://grafana.test:3443/login") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := get(t, server.URL+"/api/health", ""); status != 200 {
		t.Errorf("health: %d", status)
	}
}

func TestLoginCookie(t *testing.T) {
	server, _ := startGrafana(t, t.TempDir(),
		"GF_SECURITY_ADMIN_PASSWORD=secret", "GF_SECURITY_COOKIE_SECURE=true", "GF_SECURITY_COOKIE_SAMESITE=strict")
	login := func(password string) *http.Response {
		response, err := http.Post(server.URL+"/login", "application/json", strings.NewReader(`{"user":"admin","password":"`+password+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response
	}
	if status := login("wrong").StatusCode; status != 401 {
		t.Errorf("wrong password: %d", status)
	}
	response := login("secret")
	cookies := response.Cookies()
	if response.StatusCode != 200 || len(cookies) != 1 {
		t.Fatalf("%d %v", response.StatusCode, cookies)
	}
	cookie := cookies[0]
	if cookie.Name != "grafana_session" || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode {
		t.Errorf("%v", cookie)
	}

	for origin, want := range map[string]int{"": 200, server.URL: 200, "https://evil.test": 403} {
		request, _ := http.NewRequest(http.MethodGet, server.URL+"/api/user", nil)
		request.AddCookie(cookie)
		if origin != "" {
			request.Header.Set("Origin", origin)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("origin %q: %d", origin, response.StatusCode)
		}
	}
}

func TestLiveOrigins(t *testing.T) {
	s, err := settingsFromEnvironment([]string{"GF_SERVER_ROOT_URL=https://grafana.test:3443/", "GF_LIVE_ALLOWED_ORIGINS=https://*.friend.test"})
	if err != nil {
		t.Fatal(err)
	}
	h := &handler{settings: s}
	for origin, want := range map[string]bool{
		"":                          true,
		"http://10.0.0.1:3000":      true, // the request's own host
		"https://grafana.test:3443": true,
		"https://grafana.test":      true,
		"http://grafana.test:3443":  false,
		"https://a.friend.test":     true,
		"https://friend.test":       false,
		"https://evil.test":         false,
	} {
		r := httptest.NewRequest(http.MethodGet, "http://10.0.0.1:3000/api/live/ws", nil)
		r.Header.Set("Origin", origin)
		if got := h.originAllowed(r); got != want {
			t.Errorf("origin %q: %v", origin, got)
		}
	}
}

func TestLive(t *testing.T) {
	pingInterval = 200 * time.Millisecond
	server, h := startGrafana(t, t.TempDir())
	token, err := h.users.openSession()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, server.URL+"/api/live/ws", &websocket.DialOptions{
		HTTPHeader: http.Header{"Cookie": {sessionCookie + "=" + token}, "Origin": {server.URL}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	send := func(text string) {
		if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	receive := func() (message map[string]any) {
		_, content, err := conn.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(content, &message); err != nil {
			t.Fatal(err)
		}
		return message
	}

	send(`{"id":1,"connect":{}}`)
	connect, _ := receive()["connect"].(map[string]any)
	if connect["client"] == "" || connect["pong"] != true {
		t.Fatalf("connect: %v", connect)
	}
	send(`{"id":2,"subscribe":{"channel":"1/grafana/dashboard/uid/tracker"}}` + "\n" + `{"id":3,"subscribe":{"channel":"nonsense"}}`)
	if reply := receive(); reply["id"] != 2.0 || reply["subscribe"] == nil {
		t.Errorf("subscribe: %v", reply)
	}
	if reply := receive(); reply["id"] != 3.0 || reply["error"] == nil {
		t.Errorf("nonsense: %v", reply)
	}
	if ping := receive(); len(ping) != 0 {
		t.Errorf("ping: %v", ping)
	}
	// Without an answer to the ping the server ends the connection.
	if _, _, err := conn.Read(ctx); websocket.CloseStatus(err) != 3012 {
		t.Errorf("no pong: %v", err)
	}
}

func TestBadProvisioning(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"datasource": {"datasources/a.yaml": "datasources: [\n"},
		"default":    {"datasources/a.yml": "datasources: [{name: a, type: x, isDefault: true}, {name: b, type: x, isDefault: true}]"},
		"provider":   {"dashboards/a.yml": "providers: {\n"},
		"no path":    {"dashboards/a.yml": "providers: [{name: a}]"},
		"alerting":   {"alerting/a.yml": "- : ["},
	} {
		folder := t.TempDir()
		for file, content := range files {
			write(t, folder, file, content)
		}
		if _, err := readProvisioning(folder); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
