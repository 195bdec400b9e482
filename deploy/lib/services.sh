# Writes the configuration of a private stack and one script per service, from the same templates that
# are installed on a server.
# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of deploy/run

put() {
	local mode=$1 file=$2
	cat >"$file.new"
	own "$file.new"
	chmod "$mode" "$file.new"
	mv "$file.new" "$file"
}

# secret NAME BYTES: made once, as hexadecimal text.
secret() {
	[ -s "$dir/conf/$1.secret" ] || openssl rand -hex "$2" | put 600 "$dir/conf/$1.secret"
}

# The lines of the template that no --set names: a setting stands once.
without_own() {
	awk -F ' *= *' 'NR == FNR { own[$1]; next } !($1 in own)' <(printf '%s\n' "${settings[@]}") -
}

configure() {
	local n broker_values own_values
	local public=http://127.0.0.1:$http_port scale=100 header=X-Accel-Redirect
	secret redis 32
	secret mqtt 32
	secret blob 32
	secret admin 12
	mkdir -p "$dir"/conf/{keys,push,nginx}
	own "$dir"/conf/{keys,push,nginx}
	[ "$limits" = on ] || scale=100000
	[ "$web_server" = nginx ] || header=X-Sendfile
	local passwords=$inst/usr/share/plaza/common-passwords.txt
	[ -e "$passwords" ] || passwords=
	broker_lists "$sockets/mqtt%.sock" "$dir/data/broker/revocations%" "${public/http/ws}/mqtt^ mqtt://127.0.0.1:@"
	values=(
		"DIR=$dir" "ETC=$dir/conf/nginx" "RUN=$sockets" "LIB=$inst/usr/lib/plaza" "SECRETS=$dir/conf"
		"BLOB=$dir/data/blob" "DOCS=$inst/usr/share/plaza/docs" "DEMO=$inst/usr/share/plaza/demo" "CACHE=$dir/cache" "LOG=$dir/log"
		"REDIS_DIR=$dir/tmp" "REDIS_ACL=$dir/conf/users.acl" "CONF=$dir/conf/plaza.conf" "CORES=$(nproc)"
		"LISTEN=127.0.0.1:$http_port" "SERVER_NAME=localhost" "PUBLIC_URL=$public"
		"WEB_WORKERS=$web_workers" "WEB_QUEUE=$((web_workers * 128))"
		"AUTH_QUEUE=$((auth_workers + 16))"
		"EGRESS_WORKERS=$egress_workers" "EGRESS_QUEUE=$((egress_workers * 8))"
		"UNLIMITED=127.0.0.1 \"\";" "REDIS_SOCKET=$sockets/redis.sock" "${broker_values[@]}"
		"CORS_ORIGINS=$cors_origin" "MQTT_MEMORY=268435456" "REDIS_MEMORY=64mb"
		"REDIS_PASSWORD_SHA256=$(tr -d '\n' <"$dir/conf/redis.secret" | sha256sum | cut -d' ' -f1)"
		"DB=host=$sockets dbname=plaza" "BLOB_HEADER=$header" "PASSWORDS=$passwords"
	)
	{
		fill "$etc/plaza.conf.in" "${values[@]}" | without_own
		echo "rate_scale_percent = $scale"
		[ ${#settings[@]} = 0 ] || printf '%s\n' "${settings[@]}"
	} | put 640 "$dir/conf/plaza.conf"
	for n in "${!mqtt_ports[@]}"; do
		broker_own "$n" "$sockets/mqtt%.sock"
		fill "$etc/mosquitto/plaza.conf.in" "${values[@]}" "${own_values[@]}" |
			put 640 "$dir/conf/$(of_broker "$n" mosquitto%.conf)"
	done
	fill "$etc/redis/redis.conf.in" "${values[@]}" | put 640 "$dir/conf/redis.conf"
	fill "$etc/redis/users.acl.in" "${values[@]}" | put 600 "$dir/conf/users.acl"
	fill "$etc/nginx/headers.conf.in" "${values[@]}" | put 640 "$dir/conf/nginx/headers.conf"
	fill "$etc/nginx/plaza.conf.in" "${values[@]}" | put 640 "$dir/conf/nginx/plaza.conf"
	fill "$etc/apache/plaza.conf.in" "${values[@]}" | put 640 "$dir/conf/apache-plaza.conf"
	fill "$deploy/conf/nginx.conf.in" "${values[@]}" | put 640 "$dir/conf/nginx.conf"
	fill "$deploy/conf/apache2.conf.in" "${values[@]}" | put 640 "$dir/conf/apache2.conf"
}

# service NN-NAME STOP-SIGNAL COMMAND…; $ready says how to see that it is up.
service() {
	local file=$dir/svc/$1 stop=$2
	shift 2
	{
		printf '#!/bin/sh\n# stop=%s\n# ready=%s\nexec' "$stop" "${ready:-}"
		printf ' %q' "$@"
		echo
	} | put 755 "$file"
}

# A socket and N workers that multiwatch keeps running.
pool() {
	local order=$1 name=$2 workers=$3 backlog=$4
	service "$order-$name" TERM env "PLAZA_METRICS_DIR=$dir/tmp" spawn-fcgi -n -s "$sockets/$name.sock" -M 0660 -b "$backlog" -- \
		/usr/bin/multiwatch -f "$workers" -r 1000000 -t 200 -s TERM -- \
		"$inst/usr/sbin/plaza-fcgi" -c "$dir/conf/plaza.conf" -p "$name"
}

# A broker and what takes its uplinks; the first of each has no number in its name.
broker_services() {
	local n i broker=(mosquitto -c)
	# The sanitizers come with the plugin; the broker was built without them and must load them first.
	[ "$profile" != asan ] || broker=(env "LD_PRELOAD=$(gcc -print-file-name=libasan.so)" ASAN_OPTIONS=detect_leaks=0
		"${broker[@]}")
	for n in "${!mqtt_ports[@]}"; do
		service "30-$(of_broker "$n" mosquitto%)" TERM "${broker[@]}" "$dir/conf/$(of_broker "$n" mosquitto%.conf)"
		for ((i = 1; i <= ingest_processes; i++)); do
			service "41-$(of_broker "$n" ingest%)$([ "$i" = 1 ] || echo ".$i")" TERM env "PLAZA_METRICS_DIR=$dir/tmp" \
				"$inst/usr/sbin/plaza-ingest" -c "$dir/conf/plaza.conf" -b "$n"
		done
	done
}

services() {
	rm -f "$dir"/svc/*
	# A worker that meets a database that still starts would refuse its first request.
	ready="$pg_bin/pg_isready -q -h $(printf %q "$sockets")" service 10-postgres INT "$pg_bin/postgres" -D "$dir/data/pg"
	service 20-redis TERM redis-server "$dir/conf/redis.conf"
	broker_services
	service 40-relay TERM "$inst/usr/sbin/plaza-relay" -c "$dir/conf/plaza.conf"
	pool 50 web "$web_workers" $((web_workers * 128))
	pool 51 auth "$auth_workers" 16
	pool 52 egress "$egress_workers" 64
	if [ "$web_server" = nginx ]; then
		service 60-nginx TERM nginx -e stderr -p "$dir" -c "$dir/conf/nginx.conf"
	else
		service 60-apache TERM apache2 -DFOREGROUND -f "$dir/conf/apache2.conf"
	fi
}
