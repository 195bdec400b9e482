# What a started stack tells: its addresses for scripts (DIR/env) and for people, and the API's reader.
# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of deploy/run

environment() {
	put 640 "$dir/env" <<-EOF
		BASE_URL=http://127.0.0.1:$http_port
		WEB_SERVER=$web_server
		CORS_ORIGIN=$cors_origin
		ADMIN_EMAIL=$admin_email
		ADMIN_PASSWORD=$(cat "$dir/conf/admin.secret")
		MQTT_HOST=127.0.0.1
		MQTT_PORT=${mqtt_ports[0]}
		MQTT_WS_PORT=${ws_ports[0]}
		MQTT_SOCKET=$sockets/mqtt.sock
		BROKERS=$brokers
		MQTT_PORTS=${mqtt_ports[*]}
		MQTT_WS_PORTS=${ws_ports[*]}
		REDIS_SOCKET=$sockets/redis.sock
		PG_SOCKET=$sockets
		PG_PORT=5432
		PG_DATABASE=plaza
		WEB_SOCKET=$sockets/web.sock
		AUTH_SOCKET=$sockets/auth.sock
		EGRESS_SOCKET=$sockets/egress.sock
		RUN_USER=$user
		RUN_DIR=$dir
		CONF=$dir/conf/plaza.conf
		BIN_DIR=$inst/usr/sbin
		BLOB_DIR=$dir/data/blob
		KEYS_DIR=$dir/conf/keys
		ISSUER=http://127.0.0.1:$http_port
		LOG_DIR=$dir/log
		PID_DIR=$dir/pid
	EOF
}

banner() {
	local url=http://127.0.0.1:$http_port
	cat <<-EOF

		Plaza is running ($web_server, $web_workers workers).
		  API       $url/api/v1
		  Demo      $url/demo/
		  Reader    $url/docs/
		  Health    $url/health/ready
		  MQTT      mqtt://127.0.0.1:${mqtt_ports[0]}  ws://127.0.0.1:$http_port/mqtt
		  Logs      $dir/log
	EOF
	if [ "$demo" = yes ] && [ -e "$top/sql/demo/ACCOUNTS" ]; then
		printf '\nDemonstration accounts:\n'
		sed 's/^/  /' "$top/sql/demo/ACCOUNTS"
		printf '  admin   %-20s  %s\n' "$admin_email" "$(cat "$dir/conf/admin.secret")"
		session "$url"
	fi
	if [ "$detach" = yes ]; then
		printf '\nStop it with: deploy/run stop%s\n' "$([ "$dir" = "$top/.run" ] || echo " --dir $dir")"
	else
		printf '\nCtrl-C stops everything.\n'
	fi
}

# Two terminals: one listens, the other acts.
session() {
	local email password
	read -r _ email password _ < <(grep -m 1 '@' "$top/sql/demo/ACCOUNTS")
	cat <<-EOF

		A tour is in README.md. Or try it:
		  TOKEN=\$(curl -s $1/api/v1/auth/login -H 'Content-Type: application/json' \\
		    -d '{"email":"$email","password":"$password"}' | jq -r .accessToken)
		  curl -s $1/api/v1/auth/me -H "Authorization: Bearer \$TOKEN"
		  curl -s '$1/api/v1/products?limit=3'
		  S=\$(curl -s -X POST $1/api/v1/realtime/session -H "Authorization: Bearer \$TOKEN")
		  mosquitto_sub -h 127.0.0.1 -p ${mqtt_ports[0]} -i "\$(echo "\$S" | jq -r .clientId)" \\
		    -u "\$(echo "\$S" | jq -r .username)" -P "\$(echo "\$S" | jq -r .password)" \\
		    -t "\$(echo "\$S" | jq -r '.subscribe[0]')" -v
	EOF
}
