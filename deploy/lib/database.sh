# The private PostgreSQL cluster of a stack: made once, migrated when the SQL has changed.
# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of deploy/run

pg_bin=/usr/lib/postgresql/15/bin

as_pg() {
	as_user env PGOPTIONS='-c client_min_messages=warning' "$pg_bin/psql" -X -q -v ON_ERROR_STOP=1 -h "$sockets" "$@"
}

plazactl() {
	as_user "$inst/usr/sbin/plazactl" -c "$dir/conf/plaza.conf" "$@" >&2
}

cluster_make() {
	if [ ! -s "$dir/data/pg/PG_VERSION" ]; then
		say "Making a PostgreSQL cluster"
		rm -rf "$dir/data/pg"
		as_user "$pg_bin/initdb" -D "$dir/data/pg" -U postgres --auth=peer -E UTF8 \
			--locale=C.UTF-8 --data-checksums >"$dir/log/initdb.log" || die "see $dir/log/initdb.log"
		rm -f "$dir"/state/{sql,demo,admin}
	fi
	put 600 "$dir/data/pg/plaza.conf" <"$etc/postgresql/plaza.conf"
	put 600 "$dir/data/pg/pg_hba.conf" <"$etc/postgresql/pg_hba.conf"
	# The user of the stack, and whoever started it, may act as every role.
	for role in postgres plaza_owner plaza_web plaza_auth plaza_relay plaza_report; do
		printf 'plaza %s %s\n' "$user" "$role" "$(id -un)" "$role"
	done | sort -u | put 600 "$dir/data/pg/pg_ident.conf"
	put 600 "$dir/data/pg/postgresql.conf" <<-EOF
		include = 'plaza.conf'
		listen_addresses = ''
		unix_socket_directories = '$sockets'
		unix_socket_permissions = 0700
		fsync = $fsync
	EOF
}

# One line that changes when anything changes that the database is made of.
sql_stamp() {
	find "$top/sql" -name '*.sql' -not -path '*/queries/*' -not -path '*/demo/*' -exec cat {} + |
		cat - "$inst/usr/sbin/plazactl" | cksum
}

demo_stamp() {
	find "$top/sql" -path '*/demo/*.sql' -exec cat {} + | cksum
}

database_current() {
	[ "$(cat "$dir/state/sql" 2>/dev/null)" = "$(sql_stamp)" ] || return 1
	[ "$demo" = no ] || [ "$(cat "$dir/state/demo" 2>/dev/null)" = "$(demo_stamp)" ]
}

database_make() {
	cluster_make
	! database_current || return 0
	as_user "$pg_bin/pg_ctl" -s -w -D "$dir/data/pg" -l "$dir/log/postgres.log" start ||
		die "PostgreSQL does not start, see $dir/log/postgres.log"
	database_fill || {
		as_user "$pg_bin/pg_ctl" -s -w -m fast -D "$dir/data/pg" stop
		die "the database could not be made (--fresh begins with an empty one)"
	}
	as_user "$pg_bin/pg_ctl" -s -w -m fast -D "$dir/data/pg" stop
}

database_fill() {
	say "Applying migrations"
	as_pg -U postgres -d postgres -f "$inst/usr/share/plaza/sql/bootstrap.sql" >/dev/null || return
	plazactl migrate -d "$inst/usr/share/plaza/sql" || return
	if [ ! -e "$dir/state/admin" ]; then
		plazactl create-admin "$admin_email" <"$dir/conf/admin.secret" || return
		touch "$dir/state/admin"
	fi
	sql_stamp >"$dir/state/sql"
	if [ "$demo" = no ] || [ "$(cat "$dir/state/demo" 2>/dev/null)" = "$(demo_stamp)" ]; then
		return 0
	fi
	say "Loading the demonstration data"
	for f in "$inst"/usr/share/plaza/sql/demo/*.sql; do
		[ -e "$f" ] || continue
		as_pg -U plaza_owner -d plaza -1 -f "$f" >/dev/null || return
	done
	demo_pictures || return
	demo_stamp >"$dir/state/demo"
}

# The pictures of the demonstration products: the program draws them and prints the SQL that names them.
# It comes by standard input, because its folder may be closed to the user of the stack.
demo_pictures() {
	as_user /usr/bin/python3 - "$dir/data/blob" <"$deploy/lib/demo-pictures" |
		as_pg -U plaza_owner -d plaza -1 -f - >/dev/null
}
