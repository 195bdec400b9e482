#!/bin/bash
# Pastes the tour of README.md into a shell, block by block, against the running stack whose folder is
# given: tour.sh RUN_DIR. What comes out must be what the README says; lines that arrive by MQTT may stand
# at another place of their block.
set -uo pipefail
run=$(cd "$1" && pwd)
top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
checks=0 failures=0

# block-N.sh holds commands, block-N.out what they print.
awk -v dir="$work" '
/^## / { tour = /^## A tour/ }
!tour { next }
/^```sh$/ { file = sprintf("%s/block-%02d.sh", dir, ++n); printf "" >file; next }
/^```$/ && file { close(file); file = ""; next }
/^```$/ { file = sprintf("%s/block-%02d.out", dir, n); next }
file { print >file }' "$top/README.md"

ln -s "$run" "$work/.run"
mkfifo "$work/typed"
(cd "$work" && exec bash <typed >printed 2>&1) &
shell=$!
exec 5>"$work/typed"
trap 'kill "$shell" 2>/dev/null; rm -rf "$work"' EXIT

# The lines printed since line $1, until there are as many as wanted ($2) or time is over.
lines_since() {
	for _ in $(seq 100); do
		[ "$(tail -n "+$(($1 + 1))" "$work/printed" | wc -l)" -lt "$2" ] || break
		sleep 0.1
	done
	tail -n "+$(($1 + 1))" "$work/printed"
}

for block in "$work"/block-*.sh; do
	name=$(basename "$block" .sh)
	wanted=${block%.sh}.out
	[ -e "$wanted" ] || : >"$wanted"
	before=$(wc -l <"$work/printed")
	{ cat "$block" && echo 'echo "-- done"'; } >&5
	lines_since "$before" $(($(wc -l <"$wanted") + 1)) | grep -vx -- '-- done' | sort >"$work/got"
	checks=$((checks + 1))
	if sort "$wanted" | diff -u --label README.md - --label printed "$work/got"; then
		echo "  ok  $name: $(head -n 1 "$block" | cut -c 1-60)"
	else
		echo "  FAILED  $name"
		failures=$((failures + 1))
	fi
done
echo "tour: $checks blocks"
[ "$checks" -gt 3 ] && [ "$failures" = 0 ]
