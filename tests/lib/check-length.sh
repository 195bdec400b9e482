#!/bin/sh
# Sizes that make code hard to read: check-length.sh FILE...
# A function has at most 80 lines and a complexity (McCabe, a switch counts as
# one branch) of 25; a file has at most 800 lines.
set -u

{
	pmccabe "$@" | awk '
		$5 > 80 { printf "%s: %s has %d lines\n", $6, $7, $5 }
		$1 > 25 { printf "%s: %s has a complexity of %d\n", $6, $7, $1 }'
	for file in "$@"; do
		lines=$(wc -l <"$file")
		[ "$lines" -le 800 ] || echo "$file: $lines lines"
	done
} | {
	bad=0
	while IFS= read -r line; do
		echo "$line"
		bad=1
	done
	[ $bad -eq 0 ] || exit 1
	echo "check-length: $# files"
}
