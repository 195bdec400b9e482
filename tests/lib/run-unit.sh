#!/bin/sh
# Runs unit test programs: run-unit.sh DIR NAME...
# One line for each program; the output of a program that fails is shown.
# Fails when a program fails, runs no test, skips one, or takes more than two minutes.
set -u

dir=$1
shift
programs=0 tests=0 failed=

for name in "$@"; do
	log=$dir/$name.log
	CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 5 120 "$dir/$name" >"$log" 2>&1
	status=$?
	ok=$(grep -c '^ok ' "$log")
	if [ $status -eq 0 ] && [ "$ok" -gt 0 ] && ! grep -Eq '^not ok|# SKIP' "$log"; then
		printf '  %-7s %s (%d)\n' ok "$name" "$ok"
	else
		printf '  %-7s %s (status %d)\n' FAILED "$name" $status
		sed 's/^/    /' "$log"
		failed="$failed $name"
	fi
	programs=$((programs + 1))
	tests=$((tests + ok))
done

if [ -n "$failed" ]; then
	echo "check-unit: failed:$failed"
	exit 1
fi
echo "check-unit: $tests tests in $programs programs"
