package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"weir/rules"
)

type checkCmd struct {
	Files []string `arg:"" help:"Rules files, or Markdown with YAML blocks that are rules files."`
	JSON  bool     `name:"json" help:"Print findings as JSON, for editors."`
}

// Help shows examples below the flags.
func (checkCmd) Help() string {
	return `A file of routing tests beside a rules file (weir.yaml, weir_test.yaml) is run too. Exit status 1 if anything is wrong.

Examples:
  weir check weir.yaml
  weir check --json weir.yaml
  weir check examples/*/weir.yaml README.md docs/*.md`
}

// Run prints all findings.
func (c *checkCmd) Run(t *terminal) error {
	all := []rules.Finding{}
	var unread error
	for _, name := range c.Files {
		data, err := rules.Read(name)
		if err != nil {
			unread = errors.Join(unread, err)
			continue
		}
		if strings.EqualFold(filepath.Ext(name), ".md") {
			all = append(all, checkMarkdown(name, data, t)...)
			continue
		}
		file, found := rules.Parse(name, data, options(t))
		all = append(all, found...)
		if file == nil {
			continue
		}
		tests := testsOf(name)
		switch data, err := rules.Read(tests); {
		case err == nil:
			all = append(all, runTests(file, tests, data)...)
		case !errors.Is(err, fs.ErrNotExist):
			unread = errors.Join(unread, err)
		}
	}
	if c.JSON {
		if err := printJSON(t, all); err != nil {
			return err
		}
	} else {
		for _, f := range all {
			fmt.Fprintln(t.out, f)
		}
	}
	if unread != nil {
		return unread
	}
	if rules.Failed(all) {
		return findings{exitFindings}
	}
	return nil
}

// checkMarkdown checks the blocks of a document. Tests in it are for the file before them.
func checkMarkdown(name string, data []byte, t *terminal) []rules.Finding {
	var all []rules.Finding
	var file *rules.File
	for _, b := range rules.Blocks(data) {
		if b.Test {
			if file != nil {
				all = append(all, runTests(file, name, b.YAML)...)
			}
			continue
		}
		// Documents show ${env:…}; no variable needs to be set to read them.
		opt := options(t)
		opt.Env = func(v string) (string, bool) {
			if value, ok := t.getenv(v); ok {
				return value, true
			}
			return "example", true
		}
		var found []rules.Finding
		file, found = rules.Parse(name, b.YAML, opt)
		all = append(all, found...)
	}
	return all
}

// runTests runs routing tests and returns what fails.
func runTests(file *rules.File, name string, data []byte) []rules.Finding {
	results, all := rules.RunTests(file, name, data)
	for _, r := range results {
		all = append(all, r.Failures...)
	}
	return all
}

// testsOf is the name of the tests of a rules file: weir.yaml has weir_test.yaml.
func testsOf(name string) string {
	ext := filepath.Ext(name)
	return strings.TrimSuffix(name, ext) + "_test" + ext
}
