# A private PostgreSQL cluster for tests, to be sourced:
#   cluster_start    makes it below a new folder and sets PGHOST (a socket folder); no TCP
#   cluster_schema PLAZACTL DATABASE
#   cluster_stop     stops it and removes the folder
# PostgreSQL refuses to run as root, so root lends it to the user postgres.
# shellcheck shell=sh

cluster_bin=$(pg_config --bindir)

cluster_run() {
	if [ "$(id -u)" -eq 0 ]; then
		(cd / && runuser -u postgres -- "$@")
	else
		"$@"
	fi
}

cluster_start() {
	cluster_dir=$(mktemp -d "${TMPDIR:-/tmp}/plaza-sql.XXXXXX")
	chmod 755 "$cluster_dir"
	[ "$(id -u)" -ne 0 ] || chown postgres "$cluster_dir"
	cluster_run "$cluster_bin/initdb" -D "$cluster_dir/data" -U postgres -A trust -E UTF8 \
		--locale=C.UTF-8 --no-sync >"$cluster_dir/initdb.log" 2>&1 ||
		{ cat "$cluster_dir/initdb.log" >&2; return 1; }
	cluster_server start || return 1
	PGHOST=$cluster_dir
	PGUSER=postgres
	export PGHOST PGUSER
	unset PGPORT PGDATABASE PGSERVICE PGOPTIONS
}

# start, stop or restart; extra settings of the server follow.
cluster_server() {
	action=$1
	shift
	cluster_run "$cluster_bin/pg_ctl" -D "$cluster_dir/data" -w -m fast -l "$cluster_dir/server.log" \
		-o "-c listen_addresses= -k $cluster_dir -c fsync=off -c max_connections=50 $*" \
		"$action" >/dev/null
}

cluster_psql() {
	psql -X -q -v ON_ERROR_STOP=1 "$@"
}

# Roles, a database of this name, and the schema as plazactl makes it.
cluster_schema() {
	printf 'db = dbname=%s\n' "$2" >"$cluster_dir/$2.conf"
	cluster_psql -v dbname="$2" -f sql/bootstrap.sql postgres >/dev/null &&
		"$1" -c "$cluster_dir/$2.conf" migrate -d sql
}

cluster_stop() {
	[ -n "${cluster_dir:-}" ] || return 0
	cluster_run "$cluster_bin/pg_ctl" -D "$cluster_dir/data" -w -m immediate stop >/dev/null 2>&1
	rm -rf "$cluster_dir"
	cluster_dir=
}
