package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// didYouMean returns `; did you mean "x"?` for the known word nearest to a wrong one, or the known words if none is near
// and they are few.
func didYouMean(wrong string, known []string) string {
	if len(wrong) <= 64 && strings.Trim(wrong, "0123456789.") != "" {
		best, word := 3, ""
		for _, k := range known {
			if abs(len(k)-len(wrong)) < best && len(wrong) > 1 {
				if d := distance(wrong, k); d < best && d < len(wrong) && d < len(k) {
					best, word = d, k
				}
			}
		}
		if word != "" {
			return fmt.Sprintf("; did you mean %q?", word)
		}
	}
	if len(known) == 0 || len(known) > 12 {
		return ""
	}
	k := slices.Clone(known)
	slices.SortFunc(k, cmp.Compare[string])
	return "; known: " + strings.Join(slices.Compact(k), ", ")
}

func abs(n int) int { return max(n, -n) }

// distance is the optimal string alignment distance: how many insertions, deletions, substitutions and transpositions of
// neighbours make b of a, no place being edited twice.
func distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		row, above, above2 := rows[i%3], rows[(i+2)%3], rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], above2[j-2]+1)
			}
		}
	}
	return rows[len(a)%3][len(b)]
}
