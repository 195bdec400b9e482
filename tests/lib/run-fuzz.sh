#!/bin/sh
# Runs fuzz targets: run-fuzz.sh DIR SECONDS JOBS NAME...
# New inputs grow in DIR/corpus/NAME; tests/fuzz/corpus/NAME holds the seeds.
# Fails on a finding, which is left in DIR/findings/NAME.
set -u

dir=$1 seconds=$2 jobs=$3
shift 3

printf '%s\n' "$@" | xargs -P "$jobs" -I@ sh -c '
	dir=$1 seconds=$2 name=${3#fuzz_}
	found=$dir/findings/$name log=$dir/$name.log
	mkdir -p "$dir/corpus/$name" "$found"
	seeds=tests/fuzz/corpus/$name
	dict=tests/fuzz/corpus/$name.dict
	[ -d "$seeds" ] || seeds=
	[ -f "$dict" ] && dict=-dict=$dict || dict=
	if "$dir/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
		-max_len=16384 -print_final_stats=1 -artifact_prefix="$found/" $dict \
		"$dir/corpus/$name" $seeds >"$log" 2>&1; then
		runs=$(sed -n "s/^stat::number_of_executed_units: //p" "$log")
		cover=$(sed -n "s/.* cov: \([0-9]*\) .*/\1/p" "$log" | tail -n 1)
		printf "  %-7s %s (%s runs, %s edges)\n" ok "$name" "$runs" "$cover"
	else
		printf "  %-7s %s\n" FAILED "$name"
		tail -n 60 "$log" | sed "s/^/    /"
		exit 1
	fi
' sh "$dir" "$seconds" @
