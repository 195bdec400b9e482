#!/bin/sh
# Other people's programs against Plaza: run.sh BUILD. Reads the documents with tools from npm, runs the tour of the
# README, a whole trade, a push message, the client library and the demonstration page (in Chromium; pictures go to
# BUILD/results/demo) on a stack with demonstration data, behind nginx or (WEB=apache) Apache. PLAZA_TEST_ENV names the
# env file of a stack that runs already.
set -u
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.." || exit
status=0

for document in openapi openapi-livemarket openapi-ecommerce; do
	node tests/interop/documents.mjs "$build/$document.json" "$build/asyncapi.json" || status=1
done

if [ -n "${PLAZA_TEST_ENV:-}" ]; then
	dir=$(dirname "$PLAZA_TEST_ENV")
else
	dir=$(mktemp -d /tmp/plaza-interop.XXXXXX)
	chmod 755 "$dir"
	web=
	[ "${WEB:-nginx}" = nginx ] || web=--$WEB
	deploy/run --dir "$dir" --detach --no-fsync --no-limits --workers 4 --auth 2 --egress 1 \
		--set push_loopback=1 ${web:+"$web"} ${PLAZA_BROKERS:+--brokers "$PLAZA_BROKERS"} >"$dir/start.log" 2>&1 || {
		cat "$dir/start.log"
		exit 1
	}
fi
tests/interop/tour.sh "$dir" || status=1
node tests/interop/shop.mjs "$dir" || status=1
node tests/interop/push.mjs "$dir" || status=1
for test in library demo; do
	PLAZA_RUN=$dir PLAZA_SHOTS=$build/results/demo${WEB:+-$WEB} node --test --test-reporter=./tests/interop/lines.mjs \
		"tests/interop/$test.test.mjs" || status=1
done
if [ -z "${PLAZA_TEST_ENV:-}" ]; then
	deploy/run stop --dir "$dir"
	if [ $status = 0 ]; then
		rm -rf "$dir"
	else
		echo "The run folder is kept: $dir"
	fi
fi
exit $status
