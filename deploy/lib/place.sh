# Where a private stack lives, as whom it runs, and which ports it takes.
# shellcheck shell=bash

# Everything runs as one unprivileged user: "plaza" when we are root (PostgreSQL refuses root), else
# ourselves.
place_user() {
	if [ "$(id -u)" != 0 ]; then
		user=$(id -un)
		return
	fi
	user=plaza
	id -u "$user" >/dev/null 2>&1 || useradd --system --user-group --no-create-home \
		--home-dir /nonexistent --shell /usr/sbin/nologin "$user"
}

as_user() {
	"${user_prefix[@]}" "$@"
}

own() {
	[ "$(id -u)" != 0 ] || chown "$user:" "$@"
}

# The folder asked for; a checkout that the user cannot enter (below /root) gets one in /var/tmp and a link.
place_dir() {
	local asked=$1 hash
	hash=$(printf %s "$asked" | cksum | cut -d' ' -f1)
	dir=$asked
	if [ "$(id -u)" = 0 ] && ! place_reachable "$(dirname "$asked")"; then
		dir=/var/tmp/plaza-$hash
		ln -s "$dir" "$asked"
	fi
	place_make "$dir" 755
	for d in conf data data/blob data/broker log pid svc tmp cache state; do
		place_make "$dir/$d" 750
	done
	user_prefix=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "HOME=$dir/tmp")
	[ -z "${ASAN_OPTIONS:-}" ] || user_prefix+=("ASAN_OPTIONS=$ASAN_OPTIONS")
	[ "$(id -u)" != 0 ] ||
		user_prefix=(setpriv --reuid="$user" --regid="$user" --init-groups "${user_prefix[@]}")
	sockets=$dir/sock
	socket_path_fits "$sockets" || sockets=/tmp/plaza-$hash
	place_make "$sockets" 750
}

place_reachable() {
	setpriv --reuid="$user" --regid="$user" --init-groups test -x "$1" 2>/dev/null
}

# A folder of ours with this mode. In /tmp somebody else may have been first.
place_make() {
	mkdir -p "$1"
	own "$1"
	chmod "$2" "$1"
	[ -O "$1" ] || [ "$(id -u)" = 0 ] || die "$1 belongs to somebody else"
	[ ! -L "$1" ] || die "$1 is a link"
}

port_free() {
	! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# port_pick NAME FIRST [exactly [SUFFIX]]: the port of the last start, or FIRST, or the next free one. The suffix tells
# several of a name apart.
port_pick() {
	local name=$1 port=$2 exactly=${3:-} file=$dir/state/port.$1${4:-} last
	last=$(cat "$file" 2>/dev/null || true)
	if [ -n "$exactly" ]; then
		port_free "$port" || die "port $port is in use"
	elif [ -n "$last" ] && port_free "$last"; then
		port=$last
	else
		while ! port_free "$port"; do
			port=$((port + 1))
			[ "$port" -lt 65536 ] || die "no free port for $name"
		done
	fi
	echo "$port" >"$file"
	printf -v "$name" %s "$port"
}
