#!/bin/sh
# clang-tidy for one file: tidy.sh FLAG... FILE. Says nothing when there is nothing to say.
for file; do :; done
count=$#
i=1
while [ $i -lt $count ]; do
	set -- "$@" "$1"
	shift
	i=$((i + 1))
done
shift
out=$(clang-tidy --quiet --warnings-as-errors='*' "$file" -- "$@" 2>/dev/null) || {
	printf '%s\n' "$out"
	exit 1
}
