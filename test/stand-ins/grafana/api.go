package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
)

const sessionCookie = "grafana_session"

type handler struct {
	settings    settings
	users       *users
	provisioned *provisioned
}

// newHandler puts Grafana's layers in their order: origin check, health, login, domain check, routes.
func newHandler(s settings, u *users, p *provisioned) http.Handler {
	h := &handler{s, u, p}

	routes := http.NewServeMux()
	routes.HandleFunc("GET /api/user", h.user)
	routes.HandleFunc("GET /api/org", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, object{"id": 1, "name": "Main Org."})
	})
	routes.HandleFunc("PUT /api/user/password", h.changePassword)
	routes.HandleFunc("PUT /api/admin/users/1/password", h.resetPassword)
	routes.HandleFunc("GET /api/datasources", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, append([]dataSource{}, p.dataSources...))
	})
	routes.HandleFunc("GET /api/datasources/uid/{uid}", h.dataSource)
	routes.HandleFunc("GET /api/datasources/uid/{uid}/health", h.dataSourceHealth)
	routes.HandleFunc("/api/datasources/proxy/uid/{uid}/{path...}", h.dataSourceProxy)
	routes.HandleFunc("GET /api/search", h.search)
	routes.HandleFunc("GET /api/dashboards/uid/{uid}", h.dashboard)
	routes.HandleFunc("GET /api/live/ws", h.live)
	routes.HandleFunc("/api/", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusNotFound, object{"message": "Not found", "messageId": "", "statusCode": 404, "traceID": ""})
	})
	routes.HandleFunc("/", h.page)

	inner := http.NewServeMux()
	inner.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "Ok") })
	inner.HandleFunc("GET /api/health", h.health)
	inner.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "grafana_build_info{version=\""+version+"\"} 1\n")
	})
	inner.Handle("/", h.sameDomain(h.signedIn(routes)))
	return h.sameOrigin(inner)
}

type object map[string]any

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// sameOrigin refuses a browser with a session that comes from a page of another host: a proxy must not change Host.
func (h *handler) sameOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin, err := url.Parse(r.Header.Get("Origin"))
		_, noCookie := r.Cookie(sessionCookie)
		safe := slices.Contains([]string{http.MethodHead, http.MethodOptions, http.MethodTrace}, r.Method)
		allowed := safe || noCookie != nil || r.Header.Get("Origin") == "" ||
			err == nil && (origin.Hostname() == hostname(r.Host) || slices.Contains(h.settings.trustedOrigins, origin.Hostname()))
		if !allowed {
			http.Error(w, "origin not allowed", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func hostname(host string) string { return (&url.URL{Host: host}).Hostname() }

func (h *handler) sameDomain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.settings.enforceDomain && !strings.EqualFold(hostname(r.Host), h.settings.domain) {
			http.Redirect(w, r, strings.TrimSuffix(h.settings.rootURL.String(), "/")+r.RequestURI, http.StatusMovedPermanently)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (h *handler) signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		login, password, basic := r.BasicAuth()
		cookie, noCookie := r.Cookie(sessionCookie)
		switch {
		case basic && !h.users.authenticate(login, password):
			refuse(w, "Invalid username or password", "password-auth.failed")
		case r.URL.Path == "/login":
			h.login(w, r)
		case basic || noCookie == nil && h.users.hasSession(cookie.Value):
			next.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, "/api/"):
			refuse(w, "Unauthorized", "auth.unauthorized")
		default:
			http.Redirect(w, r, "/login", http.StatusFound)
		}
	})
}

func refuse(w http.ResponseWriter, message, id string) {
	reply(w, http.StatusUnauthorized, object{"message": message, "messageId": id, "statusCode": 401, "traceID": ""})
}

func (h *handler) health(w http.ResponseWriter, _ *http.Request) {
	body := object{"database": "ok"}
	if !h.settings.hideVersion {
		body["version"], body["commit"] = version, commit
	}
	if _, err := h.users.query("SELECT 1"); err != nil {
		body["database"] = "failing"
		reply(w, http.StatusServiceUnavailable, body)
		return
	}
	reply(w, http.StatusOK, body)
}

func (h *handler) login(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		h.page(w, r)
		return
	}
	var form struct{ User, Password string }
	if err := json.NewDecoder(r.Body).Decode(&form); err != nil {
		reply(w, http.StatusBadRequest, object{"message": "bad login data"})
		return
	}
	if !h.users.authenticate(form.User, form.Password) {
		refuse(w, "Invalid username or password", "password-auth.failed")
		return
	}
	token, err := h.users.openSession()
	if err != nil {
		reply(w, http.StatusInternalServerError, object{"message": err.Error()})
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: token, Path: "/", MaxAge: 30 * 24 * 60 * 60, HttpOnly: true,
		Secure: h.settings.cookieSecure, SameSite: h.settings.cookieSameSite,
	})
	reply(w, http.StatusOK, object{"message": "Logged in", "redirectUrl": "/"})
}

func (h *handler) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	_, _ = io.WriteString(w, "<!DOCTYPE html><html><head><title>Grafana</title></head><body>A stand-in for Grafana.</body></html>\n")
}

func (h *handler) user(w http.ResponseWriter, _ *http.Request) {
	login := h.users.login
	reply(w, http.StatusOK, object{"id": 1, "login": login, "email": login + "@localhost", "name": "", "orgId": 1, "isGrafanaAdmin": true})
}

func (h *handler) changePassword(w http.ResponseWriter, r *http.Request) {
	var form struct{ OldPassword, NewPassword string }
	if err := json.NewDecoder(r.Body).Decode(&form); err != nil || !h.users.authenticate(h.users.login, form.OldPassword) {
		reply(w, http.StatusUnauthorized, object{"message": "Invalid old password"})
		return
	}
	h.setPassword(w, form.NewPassword, "User password changed")
}

func (h *handler) resetPassword(w http.ResponseWriter, r *http.Request) {
	var form struct{ Password string }
	if err := json.NewDecoder(r.Body).Decode(&form); err != nil {
		reply(w, http.StatusBadRequest, object{"message": "bad request data"})
		return
	}
	h.setPassword(w, form.Password, "User password updated")
}

func (h *handler) setPassword(w http.ResponseWriter, password, done string) {
	if len(password) < 4 {
		reply(w, http.StatusBadRequest, object{"message": "New password is too short"})
		return
	}
	if err := h.users.setPassword(password); err != nil {
		reply(w, http.StatusInternalServerError, object{"message": err.Error()})
		return
	}
	reply(w, http.StatusOK, object{"message": done})
}

func (h *handler) dataSource(w http.ResponseWriter, r *http.Request) {
	if ds := h.findDataSource(w, r); ds != nil {
		reply(w, http.StatusOK, ds)
	}
}

func (h *handler) findDataSource(w http.ResponseWriter, r *http.Request) *dataSource {
	ds := h.provisioned.dataSource(r.PathValue("uid"))
	if ds == nil {
		reply(w, http.StatusNotFound, object{"message": "Data source not found"})
	}
	return ds
}

func (h *handler) dataSourceHealth(w http.ResponseWriter, r *http.Request) {
	ds := h.findDataSource(w, r)
	if ds == nil {
		return
	}
	response, err := http.Get(strings.TrimSuffix(ds.URL, "/") + "/api/v1/query?query=1%2B1")
	if err == nil {
		defer response.Body.Close()
	}
	if err != nil || response.StatusCode != http.StatusOK {
		slog.Error("data source is not healthy", "uid", ds.UID, "error", err)
		reply(w, http.StatusBadRequest, object{"message": "There was an error returned querying the Prometheus API.", "status": "ERROR"})
		return
	}
	reply(w, http.StatusOK, object{"message": "Successfully queried the Prometheus API.", "status": "OK"})
}

// dataSourceProxy keeps Grafana's own credentials from the data source.
func (h *handler) dataSourceProxy(w http.ResponseWriter, r *http.Request) {
	ds := h.findDataSource(w, r)
	if ds == nil {
		return
	}
	target, err := url.Parse(ds.URL)
	if err != nil {
		reply(w, http.StatusInternalServerError, object{"message": "Failed creating data source proxy"})
		return
	}
	proxy := httputil.ReverseProxy{Rewrite: func(out *httputil.ProxyRequest) {
		out.Out.URL.Path, out.Out.URL.RawPath = "/"+r.PathValue("path"), ""
		out.SetURL(target)
		out.Out.Header.Del("Authorization")
		out.Out.Header.Del("Cookie")
	}}
	proxy.ServeHTTP(w, r)
}

func (h *handler) search(w http.ResponseWriter, r *http.Request) {
	kind, query := r.URL.Query().Get("type"), strings.ToLower(r.URL.Query().Get("query"))
	hits := []object{}
	for _, d := range h.provisioned.dashboards {
		if kind != "" && kind != "dash-db" || !strings.Contains(strings.ToLower(d.title), query) {
			continue
		}
		hits = append(hits, object{
			"id": d.id, "uid": d.uid, "title": d.title, "uri": "db/" + d.slug, "url": "/d/" + d.uid + "/" + d.slug,
			"type": "dash-db", "tags": d.tags, "isStarred": false, "folderTitle": d.folder,
		})
	}
	reply(w, http.StatusOK, hits)
}

func (h *handler) dashboard(w http.ResponseWriter, r *http.Request) {
	d := h.provisioned.dashboard(r.PathValue("uid"))
	if d == nil {
		reply(w, http.StatusNotFound, object{"message": "Dashboard not found"})
		return
	}
	model := object{}
	for key, value := range d.model {
		model[key] = value
	}
	model["id"], model["uid"], model["version"] = d.id, d.uid, 1
	reply(w, http.StatusOK, object{
		"meta": object{
			"type": "db", "slug": d.slug, "url": "/d/" + d.uid + "/" + d.slug, "version": 1, "folderTitle": d.folder,
			"provisioned": true, "provisionedExternalId": d.file,
		},
		"dashboard": model,
	})
}
