package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
)

type settings struct {
	port                     string
	data, provisioning       string
	adminUser, adminPassword string
	rootURL                  *url.URL
	domain                   string
	enforceDomain            bool
	hideVersion              bool
	cookieSecure             bool
	cookieSameSite           http.SameSite
	trustedOrigins           []string // hosts
	liveOrigins              []string // patterns
}

// settingsFromEnvironment reads GF_* and, as the image's start script does, GF_*__FILE.
func settingsFromEnvironment(environment []string) (settings, error) {
	values := map[string]string{}
	for _, entry := range environment {
		name, value, _ := strings.Cut(entry, "=")
		values[name] = value
	}
	for name, file := range values {
		plain, isFile := strings.CutSuffix(name, "__FILE")
		if !isFile || !strings.HasPrefix(name, "GF_") || file == "" {
			continue
		}
		if values[plain] != "" {
			return settings{}, fmt.Errorf("ERROR: Both %s and %s are set (but are exclusive)", plain, name)
		}
		fmt.Printf("Getting secret %s from %s\n", plain, file)
		content, err := os.ReadFile(file)
		if err != nil {
			// The script goes on without the value; a missing password file means the default password.
			fmt.Fprintln(os.Stderr, err)
		}
		values[plain] = strings.TrimRight(string(content), "\n")
	}
	get := func(name, fallback string) string {
		if value := values[name]; value != "" {
			return value
		}
		return fallback
	}

	s := settings{
		port:           get("GF_SERVER_HTTP_PORT", "3000"),
		data:           get("GF_PATHS_DATA", "/var/lib/grafana"),
		provisioning:   get("GF_PATHS_PROVISIONING", "/etc/grafana/provisioning"),
		adminUser:      get("GF_SECURITY_ADMIN_USER", "admin"),
		adminPassword:  get("GF_SECURITY_ADMIN_PASSWORD", "admin"),
		domain:         get("GF_SERVER_DOMAIN", "localhost"),
		enforceDomain:  isOn(get("GF_SERVER_ENFORCE_DOMAIN", "false")),
		hideVersion:    isOn(get("GF_AUTH_ANONYMOUS_HIDE_VERSION", "false")),
		cookieSecure:   isOn(get("GF_SECURITY_COOKIE_SECURE", "false")),
		trustedOrigins: words(values["GF_SECURITY_CSRF_TRUSTED_ORIGINS"]),
		liveOrigins:    words(values["GF_LIVE_ALLOWED_ORIGINS"]),
	}

	sameSite := get("GF_SECURITY_COOKIE_SAMESITE", "lax")
	known := map[string]http.SameSite{
		"lax": http.SameSiteLaxMode, "strict": http.SameSiteStrictMode, "none": http.SameSiteNoneMode, "disabled": 0,
	}
	var ok bool
	if s.cookieSameSite, ok = known[sameSite]; !ok {
		s.cookieSameSite = http.SameSiteLaxMode
	}

	rootURL := get("GF_SERVER_ROOT_URL", "%(protocol)s://%(domain)s:%(http_port)s/")
	rootURL = strings.NewReplacer("%(protocol)s", "http", "%(domain)s", s.domain, "%(http_port)s", s.port).Replace(rootURL)
	var err error
	if s.rootURL, err = url.Parse(rootURL); err != nil {
		return s, fmt.Errorf("invalid root_url(%s): %w", rootURL, err)
	}
	return s, nil
}

func isOn(value string) bool {
	switch strings.ToLower(value) {
	case "1", "t", "true", "y", "yes", "on":
		return true
	}
	return false
}

func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' })
}
