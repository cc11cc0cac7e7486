package main

import (
	"net/netip"
	"testing"
)

func request(host string) map[string]any {
	return map[string]any{
		"http_request": map[string]any{"host": host, "path": "/announce", "method": "GET", "user_agent": "test"},
		"client":       map[string]any{"ip": netip.MustParsePrefix("127.0.0.1/32")},
	}
}

func TestRoutes(t *testing.T) {
	for _, test := range []struct {
		route string
		host  string
		want  bool
	}{
		{`http_request.host == "a.test"`, "a.test", true},
		{`http_request.host == "a.test"`, "a.test:8443", false},
		{`http_request.host == "a.test"`, "A.TEST", false},
		{`http_request.host == "a.test"`, "a.test.", false},
		{`http_request.host != "a.test"`, "b.test", true},
		{`http_request.host == "a.test" || http_request.host == "b.test"`, "b.test", true},
		{`http_request.host == "a.test" && http_request.method == "POST"`, "a.test", false},
		{`http_request.method == "GET" && http_request.path.starts_with("/announce")`, "a.test", true},
		{`http_request.host.starts_with("a.test")`, "a.test.evil.org", true},
		{`http_request.host.ends_with(".test")`, "a.test", true},
		{`http_request.host.contains("te")`, "a.test", true},
		{`["a.test", "b.test"].contains(http_request.host)`, "b.test", true},
		{`["a.test", "b.test"].contains(http_request.host)`, "c.test", false},
		{`http_request.host.matches(Regex("^a\\.test(:[0-9]+)?$"))`, "a.test:8443", true},
		{`http_request.host.matches(Regex(r"^a\.test$"))`, "a.test", true},
		{`http_request.host.matches(Regex("^a\\.test$"))`, "axtest", false},
		{`http_request.host.matches(Regex("a\\.test"))`, "xa.test.evil.org", true},
		{`http_request.host.matches(Regex("^A\\.test$"))`, "a.test", false},
		{`http_request.host.matches(Regex("(?i-u)^a\\.test\\.?(:443)?$"))`, "A.TEST.:443", true},
		{`http_request.host.matches(Regex("(?i-u)^a\\.test\\.?(:443)?$"))`, "a.test", true},
		{`http_request.host.matches(Regex("(?i-u)^a\\.test\\.?(:443)?$"))`, "axtest", false},
		{`http_request.host.matches(Regex("(?i-u)^a\\.test\\.?(:443)?$"))`, "a.test.evil.org", false},
		{`http_request.host.matches(Regex("(?i-u)^a\\.test\\.?(:443)?$"))`, "a.test:444", false},
		{`http_request.host.matches(Regex("^(?i-u:a)\\.test$"))`, "A.test", true},
		{`http_request.host.matches(Regex("^(?i-u:a)\\.test$"))`, "A.TEST", false},
		{`http_request.host.matches(Regex("(?-u)^a$"))`, "a", true},
		{`http_request.host.matches(Regex("(?i)^[a-c]+$"))`, "ABBA", true},
		{`client.ip == Ip("127.0.0.1")`, "", true},
		{`Ip("127.0.0.0/8").contains(client.ip)`, "", true},
		{`!(client.ip == Ip("10.0.0.1"))`, "", true},
		{`true`, "", true},
		{`"true"`, "", false},
		{`false || "text"`, "", false},
	} {
		route, err := compile(test.route)
		if err != nil {
			t.Errorf("%s: %v", test.route, err)
			continue
		}
		got, err := route.matches(request(test.host))
		if err != nil || got != test.want {
			t.Errorf("%s for %q: %v, %v", test.route, test.host, got, err)
		}
	}
}

func TestRoutesThatStartButNeverMatch(t *testing.T) {
	for route, want := range map[string]string{
		`host == "a.test"`:                            "Undeclared reference to 'host'",
		`host.starts_with("api")`:                     "Undeclared reference to 'host'",
		`http_request.hostname == "a.test"`:           "No such key: hostname",
		`http_request.host.startsWith("a")`:           "Undeclared reference to 'startsWith'",
		`http_request.host.lowercase() == "a.test"`:   "Undeclared reference to 'lowercase'",
		`http_request.host.matches("^a")`:             "Unexpected type: got 'string' and 'string'",
		`http_request.host && true`:                   "No such overload",
		`http_request.host == "a.test" || host == ""`: "Undeclared reference to 'host'",
	} {
		compiled, err := compile(route)
		if err != nil {
			t.Errorf("%s: %v", route, err)
			continue
		}
		matched, err := compiled.matches(request("b.test"))
		if matched || err == nil || err.Error() != want {
			t.Errorf("%s: %v, %v", route, matched, err)
		}
	}
}

func TestRegularExpressionsThatAreRefused(t *testing.T) {
	for _, pattern := range []string{`(a`, `a)`, `*`, `\Qa.b\E`, `(?i-u)^.$`, `(?-u)[^a]`, `[a&&b]`, `\<a`, `é`} {
		if compiled, err := compileRegex(pattern); err == nil {
			t.Errorf("%s was accepted: %v", pattern, compiled)
		}
	}
}

func TestRoutesThatDoNotParse(t *testing.T) {
	for _, route := range []string{
		``,
		`http_request.host == 'a.test'`,
		`http_request.host in ["a.test"]`,
		`http_request.host == "a.test" or true`,
		`http_request.host = "a.test"`,
		`http_request.host ==`,
		`(http_request.host == "a.test"`,
		`["a.test" "b.test"].contains(http_request.host)`,
		`http_request.`,
	} {
		if _, err := compile(route); err == nil {
			t.Errorf("%q was accepted", route)
		}
	}
}
