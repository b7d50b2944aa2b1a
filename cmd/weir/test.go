package main

import (
	"fmt"

	"weir/rules"
)

type testCmd struct {
	File string `arg:"" optional:"" help:"The rules file; its tests stand beside it in FILE_test.yaml." default:"weir.yaml"`
	JSON bool   `name:"json" help:"Print results as JSON."`
}

// Help shows examples below the flags.
func (testCmd) Help() string {
	return `Examples:
  weir test weir.yaml        runs weir_test.yaml

A test looks like this:
  - it: keeps the abuser out
    play: {name: cam/gate, address: 203.0.113.9}
    want: {deny: abuse report 4711}`
}

// Run prints a line for each test.
func (c *testCmd) Run(t *terminal) error {
	file, err := readFile(c.File, t)
	if err != nil {
		return err
	}
	name := testsOf(c.File)
	data, err := rules.Read(name)
	if err != nil {
		return fmt.Errorf("read the tests of %s: %w", c.File, err)
	}
	results, found := rules.RunTests(file, name, data)
	failed := 0
	for _, r := range results {
		if len(r.Failures) > 0 {
			failed++
		}
	}
	switch {
	case c.JSON:
		if err := printJSON(t, map[string]any{"results": results, "findings": found}); err != nil {
			return err
		}
	default:
		for _, f := range found {
			fmt.Fprintln(t.out, f)
		}
		for _, r := range results {
			if len(r.Failures) == 0 {
				fmt.Fprintf(t.out, "ok    it %s\n", r.It)
			}
			for _, f := range r.Failures {
				fmt.Fprintf(t.out, "FAIL  %v\n", f)
			}
		}
		fmt.Fprintf(t.out, "%d passed, %d failed\n", len(results)-failed, failed)
	}
	if failed > 0 || rules.Failed(found) {
		return findings{exitFindings}
	}
	return nil
}
