package main

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// An expression is a compiled route or rule. Running it fails on unknown names, which Pingoo notices no earlier.
type expression func(variables map[string]any) (any, error)

// matches is true only for the value true: an error or anything else is no match.
func (e expression) matches(variables map[string]any) (bool, error) {
	if e == nil {
		return true, nil
	}
	value, err := e(variables)
	return value == true, err
}

// compile reads the subset of Pingoo's language that routes need: || && ! == != ( ) lists, strings, integers, fields
// and calls. The rest of the language is refused, so that a test cannot pass by a guess.
func compile(source string) (expression, error) {
	tokens, err := tokenize(source)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	parsed, err := p.or()
	if err != nil {
		return nil, err
	}
	if rest := p.peek(); rest != "" {
		return nil, fmt.Errorf("unexpected %s", rest)
	}
	return parsed, nil
}

// Only double quotes: Pingoo's own parser refuses single ones at start.
var tokenPattern = regexp.MustCompile(`^(?:[rR]"[^"\n\r]*"|"(?:\\.|[^"\\\n\r])*"|\|\||&&|==|!=|[!()\[\],.]|\d+|[A-Za-z_]\w*)`)

func tokenize(source string) ([]string, error) {
	var tokens []string
	for {
		source = strings.TrimLeft(source, " \t\r\n\f")
		if source == "" {
			return tokens, nil
		}
		token := tokenPattern.FindString(source)
		if token == "" {
			return nil, fmt.Errorf("invalid input at %q", source)
		}
		tokens = append(tokens, token)
		source = source[len(token):]
	}
}

type parser struct{ tokens []string }

func (p *parser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *parser) take() string {
	token := p.peek()
	if token != "" {
		p.tokens = p.tokens[1:]
	}
	return token
}

func (p *parser) accept(token string) bool {
	if p.peek() != token {
		return false
	}
	p.take()
	return true
}

func (p *parser) or() (expression, error) {
	left, err := p.and()
	for err == nil && p.accept("||") {
		var right expression
		right, err = p.and()
		left = either(left, right)
	}
	return left, err
}

func (p *parser) and() (expression, error) {
	left, err := p.relation()
	for err == nil && p.accept("&&") {
		var right expression
		right, err = p.relation()
		left = both(left, right)
	}
	return left, err
}

func (p *parser) relation() (expression, error) {
	left, err := p.unary()
	for err == nil && (p.peek() == "==" || p.peek() == "!=") {
		want := p.take() == "=="
		var right expression
		right, err = p.unary()
		left = equal(left, right, want)
	}
	return left, err
}

func (p *parser) unary() (expression, error) {
	if !p.accept("!") {
		return p.member()
	}
	operand, err := p.unary()
	return not(operand), err
}

func (p *parser) member() (expression, error) {
	left, err := p.primary()
	for err == nil && p.accept(".") {
		name := p.take()
		if !isIdentifier(name) {
			return nil, fmt.Errorf("unexpected %q after a dot", name)
		}
		if !p.accept("(") {
			left = field(left, name)
			continue
		}
		var arguments []expression
		arguments, err = p.list(")")
		left = call(name, left, arguments)
	}
	return left, err
}

func (p *parser) primary() (expression, error) {
	token := p.take()
	switch {
	case token == "(":
		inner, err := p.or()
		if err == nil && !p.accept(")") {
			err = fmt.Errorf("missing )")
		}
		return inner, err
	case token == "[":
		elements, err := p.list("]")
		return list(elements), err
	case token == "true" || token == "false":
		return constant(token == "true"), nil
	case token == "null":
		return constant(nil), nil
	case token == "in":
		return nil, fmt.Errorf("unknown operator: in")
	case isIdentifier(token):
		if !p.accept("(") {
			return variable(token), nil
		}
		arguments, err := p.list(")")
		return call(token, nil, arguments), err
	case strings.HasPrefix(token, `r"`) || strings.HasPrefix(token, `R"`):
		return constant(token[2 : len(token)-1]), nil
	case strings.HasPrefix(token, `"`):
		text, err := strconv.Unquote(token)
		if err != nil {
			return nil, fmt.Errorf("invalid string %s", token)
		}
		return constant(text), nil
	case token != "" && unicode.IsDigit(rune(token[0])):
		number, err := strconv.ParseInt(token, 10, 64)
		return constant(number), err
	default:
		return nil, fmt.Errorf("unexpected %q", token)
	}
}

func isIdentifier(token string) bool {
	return token != "" && (token[0] == '_' || unicode.IsLetter(rune(token[0]))) && !strings.HasSuffix(token, `"`)
}

func (p *parser) list(end string) ([]expression, error) {
	var elements []expression
	if p.accept(end) {
		return nil, nil
	}
	for {
		element, err := p.or()
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
		if p.accept(end) {
			return elements, nil
		}
		if !p.accept(",") {
			return nil, fmt.Errorf("unexpected %q in a list", p.peek())
		}
	}
}

func constant(value any) expression {
	return func(map[string]any) (any, error) { return value, nil }
}

func variable(name string) expression {
	return func(variables map[string]any) (any, error) {
		value, known := variables[name]
		if !known {
			return nil, undeclared(name)
		}
		return value, nil
	}
}

func undeclared(name string) error { return fmt.Errorf("Undeclared reference to '%s'", name) }

func field(target expression, name string) expression {
	return func(variables map[string]any) (any, error) {
		value, err := target(variables)
		if err != nil {
			return nil, err
		}
		fields, _ := value.(map[string]any)
		value, known := fields[name]
		if !known {
			return nil, fmt.Errorf("No such key: %s", name)
		}
		return value, nil
	}
}

func list(elements []expression) expression {
	return func(variables map[string]any) (any, error) {
		values := make([]any, len(elements))
		for i, element := range elements {
			var err error
			if values[i], err = element(variables); err != nil {
				return nil, err
			}
		}
		return values, nil
	}
}

func boolean(e expression, variables map[string]any) (bool, error) {
	value, err := e(variables)
	if err != nil {
		return false, err
	}
	result, ok := value.(bool)
	if !ok {
		return false, fmt.Errorf("No such overload")
	}
	return result, nil
}

func not(operand expression) expression {
	return func(variables map[string]any) (any, error) {
		value, err := boolean(operand, variables)
		return !value, err
	}
}

// either does not look at the right side's type: `false || "text"` is a text, thus no match, without a warning.
func either(left, right expression) expression {
	return func(variables map[string]any) (any, error) {
		value, err := boolean(left, variables)
		if err != nil || value {
			return value, err
		}
		return right(variables)
	}
}

func both(left, right expression) expression {
	return func(variables map[string]any) (any, error) {
		value, err := boolean(left, variables)
		if err != nil || !value {
			return false, err
		}
		return boolean(right, variables)
	}
}

func equal(left, right expression, want bool) expression {
	return func(variables map[string]any) (any, error) {
		a, err := left(variables)
		if err != nil {
			return nil, err
		}
		b, err := right(variables)
		return reflect.DeepEqual(a, b) == want, err
	}
}

// call is a function call, or a method call when there is a target. The name is looked up before anything else.
func call(name string, target expression, arguments []expression) expression {
	if target != nil {
		arguments = append([]expression{target}, arguments...)
	}
	return func(variables map[string]any) (any, error) {
		function, known := functions[name]
		if !known {
			return nil, undeclared(name)
		}
		values := make([]any, len(arguments))
		for i, argument := range arguments {
			var err error
			if values[i], err = argument(variables); err != nil {
				return nil, err
			}
		}
		return function(values)
	}
}

var functions = map[string]func(arguments []any) (any, error){
	"starts_with": ofTwo(func(text, prefix string) (any, error) { return strings.HasPrefix(text, prefix), nil }),
	"ends_with":   ofTwo(func(text, suffix string) (any, error) { return strings.HasSuffix(text, suffix), nil }),
	"matches":     ofTwo(func(text string, pattern *regexp.Regexp) (any, error) { return pattern.MatchString(text), nil }),
	"contains":    ofTwo(contains),
	"Regex":       ofOne(compileRegex),
	"Ip":          ofOne(parseNetwork),
}

func contains(container, value any) (any, error) {
	switch container := container.(type) {
	case []any:
		for _, element := range container {
			if reflect.DeepEqual(element, value) {
				return true, nil
			}
		}
	case string:
		text, isText := value.(string)
		return isText && strings.Contains(container, text), nil
	case netip.Prefix:
		network, isNetwork := value.(netip.Prefix)
		return isNetwork && network.IsSingleIP() && container.Contains(network.Addr()), nil
	}
	return false, nil
}

// parseNetwork reads an address as the network of that one address, so that `client.ip == Ip("…")` compares equals.
func parseNetwork(text string) (any, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return nil, fmt.Errorf("Error executing function 'Ip': error converting %q to Ip: %v", text, err)
	}
	return network, nil
}

func ofOne[A any](f func(A) (any, error)) func([]any) (any, error) {
	return func(arguments []any) (any, error) {
		if len(arguments) != 1 {
			return nil, fmt.Errorf("Invalid argument count: expected 1, got %d", len(arguments))
		}
		a, ok := arguments[0].(A)
		if !ok {
			return nil, fmt.Errorf("Unexpected type: got '%T', want '%T'", arguments[0], a)
		}
		return f(a)
	}
}

func ofTwo[A, B any](f func(A, B) (any, error)) func([]any) (any, error) {
	return func(arguments []any) (any, error) {
		if len(arguments) != 2 {
			return nil, fmt.Errorf("Invalid argument count: expected 2, got %d", len(arguments))
		}
		a, okA := arguments[0].(A)
		b, okB := arguments[1].(B)
		if !okA || !okB {
			return nil, fmt.Errorf("Unexpected type: got '%T' and '%T'", arguments[0], arguments[1])
		}
		return f(a, b)
	}
}
