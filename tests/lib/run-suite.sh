#!/bin/sh
# Runs one pytest suite against a stack of its own: run-suite.sh BUILD NAME [ARGUMENT...]
# The tests are in tests/NAME. Exchanges go to BUILD/exchanges/NAME, results to BUILD/results/NAME.xml.
# The last line tells the counts. Fails when a test fails, none runs, or one is skipped.
set -u

build=$(cd "$1" && pwd)
name=$2
shift 2
results=$build/results/$name${WEB:+-$WEB}.xml
exchanges=$build/exchanges/$name${WEB:+-$WEB}
mkdir -p "$build/results"
rm -rf "$exchanges" "$results"

PLAZA_BUILD=$build PLAZA_EXCHANGES=$exchanges PYTHONDONTWRITEBYTECODE=1 \
	/usr/bin/python3 -m pytest -p no:cacheprovider -q --tb=short --junitxml="$results" "$@" "tests/$name"
status=$?
/usr/bin/python3 - "check-$name${WEB:+ ($WEB)}" "$results" <<'END' || status=1
import sys
import xml.etree.ElementTree as tree

name, path = sys.argv[1:]
try:
    suite = tree.parse(path).getroot().find("testsuite").attrib
except (OSError, tree.ParseError):
    sys.exit(f"{name}: no results")
tests, bad, skipped = (int(suite[k]) for k in ("tests", "failures", "skipped"))
bad += int(suite["errors"])
print(f"{name}: {tests} tests, {bad} failed, {skipped} skipped, {float(suite['time']):.0f} s")
sys.exit(tests == 0 or skipped > 0)
END
exit $status
