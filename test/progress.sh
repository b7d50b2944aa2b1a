#!/bin/sh
# Reads `go test -v` and prints a line for each test that took a second or failed, and what failed in full. Exit status 1 if
# anything failed or nothing ended well.
exec awk '
/^(=== |--- )|^ +--- / {
	if ($1 == "---") {
		n++
		line = $0; sub(/^ *--- /, "", line)
		took = $NF; gsub(/[()s]/, "", took)
		if ($2 == "FAIL:" || took >= 1) printf "  %4d  %s\n", n, line
		if ($2 == "FAIL:") bad++
	}
	fflush(); next
}
{ print; fflush() }
/^ok / { fine = 1 }
END { if (bad || !fine) { print (bad + 0) " failed"; exit 1 } }
'
