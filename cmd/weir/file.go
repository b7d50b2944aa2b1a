package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"weir/gateway"
	"weir/rules"
)

// parse checks a file that is given as text. Findings are printed to standard error; the error is there if one of them
// keeps the file from being used.
func parse(name string, data []byte, t *terminal) (*rules.File, error) {
	file, found := rules.Parse(name, data, options(t))
	for _, f := range found {
		if f.Severity == rules.Warning {
			fmt.Fprintf(t.err, "%v (warning)\n", f)
		} else {
			fmt.Fprintln(t.err, f)
		}
	}
	if file == nil || rules.Failed(found) {
		return nil, findings{exitFindings}
	}
	return file, nil
}

func options(t *terminal) rules.Options {
	return rules.Options{Env: t.getenv, Available: gateway.Available}
}

// readFile reads and checks a file; see parse.
func readFile(name string, t *terminal) (*rules.File, error) {
	data, err := rules.Read(name)
	if err != nil {
		if os.IsNotExist(err) {
			return nil, fmt.Errorf("there is no file %s here; name one, or try: weir demo", name)
		}
		return nil, err
	}
	return parse(name, data, t)
}

// made is parse for a file that a command made of its arguments: lines mean nothing to who typed them, and a warning
// could not be followed.
func made(yaml string, t *terminal) (*rules.File, error) {
	file, found := rules.Parse("arguments", []byte(yaml), options(t))
	for _, f := range found {
		if f.Severity == rules.Error {
			fmt.Fprintln(t.err, "weir:", f.What)
		}
	}
	if file == nil || rules.Failed(found) {
		return nil, findings{exitFindings}
	}
	return file, nil
}

// quote returns s as a YAML string in which only ${env:NAME} is filled in, so that a password need not stand on a command
// line.
func quote(s string) string {
	const env = "${env:"
	parts := strings.Split(s, env)
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(p, "$", "$$")
	}
	b, _ := json.Marshal(strings.Join(parts, env)) // a JSON string is a YAML string
	return string(b)
}

func quoteAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = quote(s)
	}
	return out
}

// printJSON writes v, indented.
func printJSON(t *terminal, v any) error {
	e := json.NewEncoder(t.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
