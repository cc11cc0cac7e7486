package main

import (
	"fmt"
	"regexp"
	"strings"
)

// What Rust's regular expressions and Go's both know and mean alike, for the ASCII text that requests consist of.
var (
	regexFlags = regexp.MustCompile(`^\(\?([imsu]*)(?:-([imsu]+))?([:)])`)
	regexToken = regexp.MustCompile(`^(?:\[\^?(?:[A-Za-z0-9_.:/ ]-?)+\]|\\[dDwWsSbBAz]|\\[!-/:;=?@\[-^` + "`" + `{-~]|[ -Z^-~])`)
	notASCII   = regexp.MustCompile(`^(?:\.|\\[DWS]|\[\^)`)
)

// compileRegex compiles an expression of Rust's crate regex. Its flag u (Unicode), which Go lacks, changes nothing for
// ASCII text; but without it an expression that could match half a character is refused. So is all that the two languages
// do not mean alike, so that a test cannot pass by a guess.
func compileRegex(source string) (any, error) {
	invalid := func(reason string) (any, error) {
		return nil, fmt.Errorf("Error executing function 'Regex': regex parse error: %s: %s", source, reason)
	}
	var translated strings.Builder
	bytewise, wide := false, false
	for rest := source; rest != ""; {
		if flags := regexFlags.FindStringSubmatch(rest); flags != nil {
			rest = rest[len(flags[0]):]
			bytewise = bytewise || strings.Contains(flags[2], "u")
			translated.WriteString(withoutUnicode(flags[1], flags[2], flags[3]))
			continue
		}
		token := regexToken.FindString(rest)
		if token == "" {
			return invalid(fmt.Sprintf("this stand-in does not know %q", rest))
		}
		wide = wide || notASCII.MatchString(token)
		translated.WriteString(token)
		rest = rest[len(token):]
	}
	if bytewise && wide {
		return invalid("pattern can match invalid UTF-8")
	}
	compiled, err := regexp.Compile(translated.String())
	if err != nil {
		return invalid(err.Error())
	}
	return compiled, nil
}

// withoutUnicode writes flags as Go reads them. Flags for the rest of a group may come down to none.
func withoutUnicode(on, off, end string) string {
	on, off = strings.ReplaceAll(on, "u", ""), strings.ReplaceAll(off, "u", "")
	if off != "" {
		off = "-" + off
	}
	if on+off == "" && end == ")" {
		return ""
	}
	return "(?" + on + off + end
}
