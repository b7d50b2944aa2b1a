package rules

import (
	"bytes"
	"regexp"
	"strings"
)

// A Block is a weir file, or a file of routing tests, that stands in a Markdown document.
type Block struct {
	Line int    // of its first line in the document
	Test bool   // routing tests, for the file before it in the document
	YAML []byte // led by as many empty lines as put it on its own line, so that findings are about the document
}

// Blocks finds the fenced blocks of a document that are files: those whose info string is `yaml weir` or `yaml weir-test`,
// and those of plain `yaml` that begin with a comment naming a file, like `# weir.yaml` or `# edge/weir_test.yaml`.
// Other blocks of YAML are somebody else's.
func Blocks(md []byte) []Block {
	var out []Block
	lines := bytes.SplitAfter(md, []byte("\n"))
	for i := 0; i < len(lines); i++ {
		fence, info := openFence(string(lines[i]))
		if fence == "" {
			continue
		}
		first := i + 1
		end := first
		for end < len(lines) && !closesFence(string(lines[end]), fence) {
			end++
		}
		body := lines[first:end]
		if kind := kindOfBlock(info, body); kind != "" {
			text := append(bytes.Repeat([]byte("\n"), first), bytes.Join(body, nil)...)
			out = append(out, Block{Line: first + 1, Test: kind == "weir-test", YAML: text})
		}
		i = end
	}
	return out
}

// openFence returns the fence that a line opens and what follows it; empty if it opens none.
func openFence(line string) (fence, info string) {
	s := strings.TrimLeft(line, " \t")
	for _, c := range []string{"`", "~"} {
		if rest := strings.TrimLeft(s, c); len(s)-len(rest) >= 3 {
			info = strings.TrimSpace(rest)
			if c == "`" && strings.Contains(info, "`") {
				return "", ""
			}
			return s[:len(s)-len(rest)], info
		}
	}
	return "", ""
}

func closesFence(line, fence string) bool {
	s := strings.TrimSpace(line)
	return len(s) >= len(fence) && strings.Trim(s, fence[:1]) == ""
}

// kindOfBlock returns "weir", "weir-test" or nothing.
func kindOfBlock(info string, body [][]byte) string {
	words := strings.Fields(info)
	if len(words) == 0 || words[0] != "yaml" && words[0] != "yml" {
		return ""
	}
	if len(words) > 1 && (words[1] == "weir" || words[1] == "weir-test") {
		return words[1]
	}
	for _, line := range body {
		s := strings.TrimSpace(string(line))
		if s == "" {
			continue
		}
		m := regexp.MustCompile(`^#\s*\S*weir(_test)?\.ya?ml\b`).FindStringSubmatch(s)
		switch {
		case m == nil:
			return ""
		case m[1] != "":
			return "weir-test"
		}
		return "weir"
	}
	return ""
}
