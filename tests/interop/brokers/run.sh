#!/bin/sh
# The client library at mosquitto, ejabberd and aedes. One stack, whose programs find each of the three at the same
# address, one after the other. README.md of this folder tells what is measured.
set -u
cd "$(dirname "$0")/../../.." || exit
# Six free ports, below those that the system gives to connections: what the programs connect to, two nodes, and three
# for ejabberd itself.
ports=$(node -e '
	const { createServer } = require("node:net");
	const free = (port) => new Promise((done) => {
		const server = createServer().on("error", () => done(false));
		server.listen(port, "127.0.0.1", () => server.close(() => done(true)));
	});
	(async () => {
		const found = [];
		for (let port = 20000 + Math.floor(Math.random() * 9000); found.length < 6; port++)
			if (await free(port)) found.push(port);
		console.log(found.join(" "));
	})();')
# shellcheck disable=SC2086 # a list of numbers
set -- $ports
dir=$(mktemp -d /tmp/plaza-brokers.XXXXXX)
chmod 755 "$dir"
status=1
if deploy/run --dir "$dir" --detach --no-demo --no-fsync --no-limits --workers 2 --auth 2 --egress 1 \
	--set mqtt_host=127.0.0.1 --set mqtt_port="$1" --set mqtt_jid_host=plaza.test \
	--set "mqtt_urls=mqtt://127.0.0.1:$2 mqtt://127.0.0.1:$3" >"$dir/start.log" 2>&1; then
	PLAZA_RUN=$dir PLAZA_PORTS=$ports node --test --test-reporter=./tests/interop/lines.mjs \
		tests/interop/brokers/brokers.test.mjs
	status=$?
else
	cat "$dir/start.log"
fi
deploy/run stop --dir "$dir"
if [ $status = 0 ]; then
	rm -rf "$dir"
else
	echo "The run folder is kept: $dir"
fi
exit $status
