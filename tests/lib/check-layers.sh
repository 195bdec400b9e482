#!/bin/sh
# Which file may include what. Run in the root of the project; prints each breach.
#   1. A folder includes only itself and the layers below it.
#   2. The header of a foreign library appears in one module, a .c/.h pair.
#   3. Every other <header> belongs to the C library or the kernel.
set -u

# Rows: kind, folder or header, what is allowed (prefixes of an include path; modules).
# The longest folder that fits a file decides.
rules() {
	cat <<'ROWS'
layer fcgi/base base/
layer fcgi/io base/ io/ queries.h
layer fcgi/http base/ io/ http/ queries.h
layer fcgi/api base/ io/ http/ api/ queries.h topics.h events.h topics.def events.def
layer fcgi/door base/ io/ http/ api/ door/
layer fcgi/main.c base/ io/ http/ api/ door/ queries.h
layer fcgi/ctl base/ io/ http/ api/ ctl/ queries.h topics.h events.h
layer fcgi/tools base/
layer realtime base/ topics.h events.h topics.def events.def
layer realtime/plugin base/ io/token.h io/digest.h io/conf.h io/json.h plugin/ topics.h topics.def
layer realtime/relay base/ io/ relay/ queries.h topics.h events.h
layer realtime/ingest base/ io/ http/ api/ ingest/ queries.h topics.h events.h
foreign argon2.h fcgi/io/password
foreign fcgiapp.h fcgi/door/fcgi
foreign curl/ fcgi/io/fetch
foreign hiredis/ fcgi/io/cache
foreign jansson.h fcgi/io/json
foreign jwt.h fcgi/io/token
foreign libpq-fe.h fcgi/io/db_wire
foreign magic.h fcgi/io/sniff
foreign mosquitto.h fcgi/io/mqtt realtime/plugin/plugin
foreign mosquitto_broker.h realtime/plugin/plugin
foreign mosquitto_plugin.h realtime/plugin/plugin
foreign openssl/ fcgi/io/digest fcgi/io/ece fcgi/io/fcm fcgi/io/keys fcgi/io/p256
foreign sanitizer/ fcgi/base/arena
foreign systemd/ fcgi/io/notify
foreign utf8proc.h fcgi/io/fold
foreign vips/ fcgi/tools/plaza-image
libc assert.h ctype.h errno.h float.h inttypes.h limits.h locale.h math.h setjmp.h signal.h
libc stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h string.h strings.h time.h
libc arpa/ dirent.h endian.h fcntl.h fnmatch.h fts.h getopt.h grp.h linux/ netdb.h netinet/ poll.h
libc malloc.h pthread.h pwd.h sched.h spawn.h sys/ syslog.h termios.h unistd.h
ROWS
}

files=$(find fcgi realtime -name '*.[ch]' -o -name '*.def' | sort)
{
	rules
	# shellcheck disable=SC2086 # the names are words
	grep -HnE '^[[:space:]]*#[[:space:]]*include' $files |
		sed -E 's/^([^:]*):([0-9]+):[^<"]*([<"])([^>"]*).*/include \1 \2 \3 \4/'
} | awk '
	function starts(text, prefix) {
		return prefix ~ /\/$/ ? index(text, prefix) == 1 : text == prefix
	}
	function breach(why) {
		printf "%s:%s: %s %s\n", $2, $3, why, $5
		bad = 1
	}
	function layer_of(file,   dir, best) {
		for (dir in layer)
			if (index(file "/", dir "/") == 1 && length(dir) > length(best))
				best = dir
		return best
	}
	function allowed(list, path,   words, n, i) {
		n = split(list, words, " ")
		for (i = 1; i <= n; i++)
			if (starts(path, words[i]))
				return 1
		return 0
	}
	function foreign_key(path,   key) {
		for (key in foreign)
			if (starts(path, key))
				return key
		return ""
	}

	$1 == "layer"   { key = $2; $1 = $2 = ""; layer[key] = $0; next }
	$1 == "foreign" { key = $2; $1 = $2 = ""; foreign[key] = $0; next }
	$1 == "libc"    { $1 = ""; libc = libc $0; next }

	$4 == "\"" {
		dir = layer_of($2)
		if (dir == "")
			breach("the folder has no row; it includes")
		else if (!allowed(layer[dir], $5))
			breach(dir " may not include")
		next
	}
	allowed(libc, $5) { next }
	{
		module = $2
		sub(/\.[ch]$/, "", module)
		key = foreign_key($5)
		if (key == "")
			breach("neither C library nor a known foreign header:")
		else if (index(foreign[key] " ", " " module " ") == 0)
			breach("only" foreign[key] " may include")
	}
	END { exit bad }
' || exit 1
# shellcheck disable=SC2086
set -- $files
echo "check-layers: $# files"
