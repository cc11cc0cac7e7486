package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

type config struct {
	listeners []listenerConfig
	services  []serviceConfig
	rules     []ruleConfig
	acme      *acmeConfig
}

type listenerConfig struct {
	name     string
	protocol string // http, https, tcp, tcp+tls
	address  netip.AddrPort
	services []string
}

func (l listenerConfig) tls() bool { return l.protocol == "https" || l.protocol == "tcp+tls" }
func (l listenerConfig) tcp() bool { return l.protocol == "tcp" || l.protocol == "tcp+tls" }

type serviceConfig struct {
	name      string
	tcp       bool
	route     expression // nil matches everything
	upstreams []upstreamConfig
}

// An upstreamConfig has an address, or a name that is looked up while running.
type upstreamConfig struct {
	host string
	ip   netip.Addr
	port uint16
	tls  bool
}

type ruleConfig struct {
	name       string
	expression expression // nil matches everything
}

type acmeConfig struct {
	directoryURL string
	domains      []string
}

func loadConfig(file string) (*config, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, configError("error reading config file (%s): %s", file, osError(err))
	}
	parsed, err := parseFile(content)
	if err != nil {
		return nil, configError("error parsing config file (%s): %v", file, err)
	}
	return parsed.validate()
}

// configFile is the file as written, checked for types and addresses but not for sense.
type configFile struct {
	listeners []listenerConfig
	defaulted map[string]bool // listeners without a list of services
	services  []serviceFile
	rules     []ruleFile
	acme      *acmeConfig
}

type serviceFile struct {
	name                string
	route               *string
	http, static, tcp   bool
	httpProxy, tcpProxy []string
}

type ruleFile struct {
	name       string
	expression *string
}

func parseFile(content []byte) (*configFile, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.New(yamlError(err))
	}
	root := &yaml.Node{Kind: yaml.MappingNode}
	if len(document.Content) > 0 {
		root = document.Content[0]
	}

	top, err := structure(root, "", []string{"listeners", "services"}, "rules", "tls", "service_discovery", "lists", "child_process")
	if err != nil {
		return nil, err
	}
	file := &configFile{defaulted: map[string]bool{}}

	err = eachEntry(top["listeners"], "listeners", func(name string, node *yaml.Node, path string) error {
		fields, err := structure(node, path, []string{"address"}, "services")
		if err != nil {
			return err
		}
		l, err := parseListenerAddress(fields["address"].Value)
		if err != nil {
			return at(fields["address"], path+".address", "%v", err)
		}
		l.name = name
		if isNull(fields["services"]) {
			file.defaulted[name] = true
		} else if l.services, err = stringList(fields["services"], path+".services"); err != nil {
			return err
		}
		file.listeners = append(file.listeners, l)
		return nil
	})
	if err != nil {
		return nil, err
	}

	err = eachEntry(top["services"], "services", func(name string, node *yaml.Node, path string) error {
		fields, err := structure(node, path, nil, "route", "http_proxy", "static", "tcp_proxy")
		if err != nil {
			return err
		}
		s := serviceFile{name: name, static: !isNull(fields["static"])}
		if node := fields["route"]; !isNull(node) {
			if node.Kind != yaml.ScalarNode {
				return at(node, path+".route", "invalid type: %s, expected a string", describe(node))
			}
			s.route = &node.Value
		}
		if node := fields["http_proxy"]; !isNull(node) {
			s.http = true
			if s.httpProxy, err = stringList(node, path+".http_proxy"); err != nil {
				return err
			}
		}
		if node := fields["tcp_proxy"]; !isNull(node) {
			s.tcp = true
			if s.tcpProxy, err = stringList(node, path+".tcp_proxy"); err != nil {
				return err
			}
		}
		file.services = append(file.services, s)
		return nil
	})
	if err != nil {
		return nil, err
	}

	if top["rules"] != nil {
		err = eachEntry(top["rules"], "rules", func(name string, node *yaml.Node, path string) error {
			fields, err := structure(node, path, []string{"actions"}, "expression")
			if err != nil {
				return err
			}
			for _, action := range fields["actions"].Content {
				if kind, _ := structure(action, path+".actions", []string{"action"}); kind == nil || kind["action"].Value != "block" {
					return at(action, path+".actions", "this stand-in knows the action `block` only")
				}
			}
			rule := ruleFile{name: name}
			if !isNull(fields["expression"]) {
				rule.expression = &fields["expression"].Value
			}
			file.rules = append(file.rules, rule)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}

	if !isNull(top["tls"]) {
		fields, err := structure(top["tls"], "tls", nil, "acme")
		if err != nil {
			return nil, err
		}
		if !isNull(fields["acme"]) {
			if file.acme, err = parseACME(fields["acme"]); err != nil {
				return nil, err
			}
		}
	}
	return file, nil
}

func parseACME(node *yaml.Node) (*acmeConfig, error) {
	fields, err := structure(node, "tls.acme", []string{"domains"}, "directory_url")
	if err != nil {
		return nil, err
	}
	acme := &acmeConfig{directoryURL: letsEncrypt}
	if url := fields["directory_url"]; url != nil {
		acme.directoryURL = strings.TrimRight(strings.TrimSpace(url.Value), "/")
	}
	acme.domains, err = stringList(fields["domains"], "tls.acme.domains")
	return acme, err
}

var listenerURL = regexp.MustCompile(`^(?:([a-z0-9+.-]+)://)?([^/?#]+)`)

func parseListenerAddress(address string) (listenerConfig, error) {
	match := listenerURL.FindStringSubmatch(address)
	if match == nil {
		return listenerConfig{}, fmt.Errorf("listener address %s is not valid: authority is missing", address)
	}
	l := listenerConfig{protocol: match[1]}
	if l.protocol == "" {
		l.protocol = "http"
	}
	if !slices.Contains([]string{"http", "https", "tcp", "tcp+tls"}, l.protocol) {
		return l, fmt.Errorf("config: listeners.[%s]: protocol is not valid: %s is not a valid protocol", address, l.protocol)
	}
	host, portText, hasPort := match[2], "", false
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		host, portText, hasPort = host[:colon], host[colon+1:], true
	}
	port := map[string]uint16{"http": 80, "https": 443}[l.protocol]
	if hasPort {
		number, err := strconv.ParseUint(portText, 10, 16)
		if err != nil {
			return l, fmt.Errorf("config: error parsing listener [%s]: invalid authority", address)
		}
		port = uint16(number)
	} else if port == 0 {
		return l, fmt.Errorf("listener address %s is not valid: port is missing", address)
	}
	// The brackets of an IPv6 address are not taken off, so that none can be configured.
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return l, fmt.Errorf("listener address %s is not valid: invalid IP address syntax", address)
	}
	l.address = netip.AddrPortFrom(ip, port)
	return l, nil
}

// validate turns the file into a configuration, in Pingoo's order: the first problem ends it.
func (file *configFile) validate() (*config, error) {
	cfg := &config{listeners: file.listeners, acme: file.acme}
	for _, s := range file.services {
		service, err := s.compile()
		if err != nil {
			return nil, err
		}
		cfg.services = append(cfg.services, service)
	}

	for i, l := range cfg.listeners {
		if !file.defaulted[l.name] {
			continue
		}
		for _, s := range cfg.services {
			if s.tcp == l.tcp() {
				cfg.listeners[i].services = append(cfg.listeners[i].services, s.name)
			}
		}
	}
	if err := cfg.validateListeners(); err != nil {
		return nil, err
	}

	for _, rule := range file.rules {
		compiled := ruleConfig{name: rule.name}
		if rule.expression != nil {
			var err error
			if compiled.expression, err = compile(*rule.expression); err != nil {
				return nil, configError("error parsing rules: Expression is not valid: %v", err)
			}
		}
		cfg.rules = append(cfg.rules, compiled)
	}

	if cfg.acme == nil {
		return cfg, nil
	}
	if duplicate, found := firstDuplicate(cfg.acme.domains); found {
		return nil, configError("acme: duplicate domain: %s", duplicate)
	}
	for _, domain := range cfg.acme.domains {
		if strings.Contains(domain, "*") {
			return nil, configError("acme: Pingoo currently doesn't support wildcard domains for automatic TLS (%s)", domain)
		}
		if strings.ContainsFunc(domain, func(r rune) bool { return r > 127 || r >= 'A' && r <= 'Z' }) {
			return nil, configError("acme: invalid domain: %s", domain)
		}
	}
	if !slices.ContainsFunc(cfg.listeners, func(l listenerConfig) bool { return l.tls() && l.address.Port() == 443 }) {
		slog.Warn("config: at least one of your TLS listeners must listen on the port 443 for ACME certificates verification.")
	}
	return cfg, nil
}

func (s serviceFile) compile() (serviceConfig, error) {
	kinds := 0
	for _, present := range []bool{s.http, s.tcp, s.static} {
		if present {
			kinds++
		}
	}
	service := serviceConfig{name: s.name, tcp: s.tcp}
	if kinds != 1 {
		return service, configError("invalid service definition for %s: services must have exactly 1 http_proxy, tcp_proxy or static field", s.name)
	}
	if s.static {
		return service, configError("services.[%s].static: this stand-in serves no static sites", s.name)
	}
	if s.tcp && s.route != nil {
		return service, configError("Invalid service definition for %s: TCP proxy can't have a route", s.name)
	}
	for _, text := range append(s.httpProxy, s.tcpProxy...) {
		upstream, err := parseUpstream(text)
		if err != nil {
			return service, err
		}
		service.upstreams = append(service.upstreams, upstream)
	}
	if s.route != nil {
		var err error
		if service.route, err = compile(*s.route); err != nil {
			return service, configError("error parsing route for service %s: Expression is not valid: %v", s.name, err)
		}
	}
	return service, nil
}

func parseUpstream(text string) (upstreamConfig, error) {
	invalid := func(reason string) (upstreamConfig, error) {
		return upstreamConfig{}, configError("%s is not a valid URL: %s", text, reason)
	}
	parsed, err := url.Parse(text)
	switch {
	case err != nil:
		return invalid(err.Error())
	case parsed.Scheme == "":
		return invalid("relative URL without a base")
	case parsed.Hostname() == "":
		return invalid("host is missing")
	}
	defaultPort, known := map[string]string{"tcp": "", "http": "80", "https": "443"}[parsed.Scheme]
	if !known {
		return invalid(parsed.Scheme + " is not a valid protocol")
	}
	portText := parsed.Port()
	if portText == "" {
		portText = defaultPort
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return invalid("port is missing")
	}
	upstream := upstreamConfig{host: parsed.Hostname(), port: uint16(port), tls: parsed.Scheme == "https"}
	if upstream.host == "localhost" {
		upstream.ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	} else if ip, err := netip.ParseAddr(upstream.host); err == nil {
		upstream.ip = ip
	}
	return upstream, nil
}

func (cfg *config) service(name string) (serviceConfig, bool) {
	i := slices.IndexFunc(cfg.services, func(s serviceConfig) bool { return s.name == name })
	if i < 0 {
		return serviceConfig{}, false
	}
	return cfg.services[i], true
}

func (cfg *config) validateListeners() error {
	for i, l := range cfg.listeners {
		for j, other := range cfg.listeners {
			if i != j && l.address.Port() == other.address.Port() {
				return configError("config: listeners: %s and %s can't listen on the same port", l.name, other.name)
			}
		}
		if len(l.services) == 0 {
			return configError("config: listeners: %s: no service found for this listener", l.name)
		}
		if l.tcp() && len(l.services) > 1 {
			return configError("config: listeners: %s: TCP listeners can only have 1 associated service", l.name)
		}
		for _, name := range l.services {
			if _, known := cfg.service(name); !known {
				return configError("config: listeners: %s: service %s doesn't exist", l.name, name)
			}
		}
		if duplicate, found := firstDuplicate(l.services); found {
			return configError("config: listeners: %s: duplicate services are not allowed (%s)", l.name, duplicate)
		}
	}
	return nil
}

func firstDuplicate(values []string) (string, bool) {
	seen := map[string]bool{}
	for _, value := range values {
		if seen[value] {
			return value, true
		}
		seen[value] = true
	}
	return "", false
}

// structure reads a mapping with known fields. Fields it does not know are passed over in silence: a misspelt one is
// simply not there.
func structure(node *yaml.Node, path string, required []string, optional ...string) (map[string]*yaml.Node, error) {
	node = dereference(node)
	if node.Kind != yaml.MappingNode {
		return nil, at(node, path, "invalid type: %s, expected a map", describe(node))
	}
	fields := map[string]*yaml.Node{}
	for i := 0; i < len(node.Content); i += 2 {
		key := node.Content[i].Value
		if !slices.Contains(required, key) && !slices.Contains(optional, key) {
			continue
		}
		if fields[key] != nil {
			return nil, at(node.Content[i], path, "duplicate field `%s`", key)
		}
		fields[key] = dereference(node.Content[i+1])
	}
	for _, key := range required {
		if fields[key] == nil {
			return nil, at(node, path, "missing field `%s`", key)
		}
	}
	return fields, nil
}

// eachEntry walks a mapping with free keys. Of a key that occurs twice the last value wins, at the first one's place.
func eachEntry(node *yaml.Node, path string, visit func(name string, value *yaml.Node, path string) error) error {
	if node.Kind != yaml.MappingNode {
		return at(node, path, "invalid type: %s, expected a map", describe(node))
	}
	var names []string
	values := map[string]*yaml.Node{}
	for i := 0; i < len(node.Content); i += 2 {
		name := node.Content[i].Value
		if values[name] == nil {
			names = append(names, name)
		}
		values[name] = dereference(node.Content[i+1])
	}
	for _, name := range names {
		if err := visit(name, values[name], path+"."+name); err != nil {
			return err
		}
	}
	return nil
}

func stringList(node *yaml.Node, path string) ([]string, error) {
	if node.Kind != yaml.SequenceNode {
		return nil, at(node, path, "invalid type: %s, expected a sequence", describe(node))
	}
	list := []string{}
	for i, item := range node.Content {
		item = dereference(item)
		if item.Kind != yaml.ScalarNode {
			return nil, at(item, fmt.Sprintf("%s[%d]", path, i), "invalid type: %s, expected a string", describe(item))
		}
		list = append(list, item.Value)
	}
	return list, nil
}

func dereference(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func isNull(node *yaml.Node) bool {
	return node == nil || node.Kind == yaml.ScalarNode && node.Tag == "!!null"
}

func describe(node *yaml.Node) string {
	switch {
	case node.Kind == yaml.MappingNode:
		return "map"
	case node.Kind == yaml.SequenceNode:
		return "sequence"
	case isNull(node):
		return "unit value"
	default:
		return fmt.Sprintf("string %q", node.Value)
	}
}

func at(node *yaml.Node, path, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if path != "" {
		text = path + ": " + text
	}
	if node.Line > 0 {
		text += fmt.Sprintf(" at line %d column %d", node.Line, node.Column)
	}
	return errors.New(text)
}

var yamlErrorLine = regexp.MustCompile(`^yaml: line (\d+): (.*)$`)

// yamlError puts the place behind the reason, as libyaml's other readers do.
func yamlError(err error) string {
	if match := yamlErrorLine.FindStringSubmatch(err.Error()); match != nil {
		return match[2] + " at line " + match[1]
	}
	return strings.TrimPrefix(err.Error(), "yaml: ")
}
