# What the templates need to know of several brokers. Sourced, never run.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables of who sources it

# of_broker N TEXT: the text for broker N. "%" becomes -N and "^" /N, both nothing for the first one; "@" is its port.
of_broker() {
	local text=$2 dash=-$1 slash=/$1
	[ "$1" != 0 ] || dash='' slash=''
	text=${text//%/$dash}
	text=${text//^/$slash}
	printf %s "${text//@/${mqtt_ports[$1]}}"
}

# broker_lists SOCKET REVOKED URLS: texts as above become the lists of plaza.conf; what web servers need for each
# broker behind the first. Takes the ports from the arrays mqtt_ports and ws_ports; leaves broker_values.
broker_lists() {
	local n hosts='' ports='' revoked='' urls='' upstreams='' paths='' proxies=''
	for n in "${!mqtt_ports[@]}"; do
		hosts+=,$(of_broker "$n" "$1")
		ports+=,0
		revoked+=,$(of_broker "$n" "$2")
		urls+=", $(of_broker "$n" "$3")"
		[ "$n" != 0 ] || continue
		upstreams+="upstream plaza_broker_$n { server 127.0.0.1:${ws_ports[$n]}; }"$'\n'
		paths+="/mqtt/$n plaza_broker_$n;"$'\n\t'
		proxies+="ProxyPassMatch \"^/mqtt/$n\$\" \"ws://127.0.0.1:${ws_ports[$n]}/mqtt\" timeout=3600 connectiontimeout=1"
		proxies+=$'\n\t'
	done
	broker_values=("MQTT_HOSTS=${hosts#,}" "MQTT_HOST_PORTS=${ports#,}" "REVOKED=${revoked#,}" "MQTT_URLS=${urls#, }"
		"MQTT_WS=127.0.0.1:${ws_ports[0]}" "BROKER_UPSTREAMS=$upstreams" "BROKER_PATHS=$paths" "BROKER_PROXIES=$proxies")
}

# The values of broker N's own file.
broker_own() {
	own_values=("MQTT_BROKER=$1" "MQTT_SOCKET=$(of_broker "$1" "$2")" "MQTT_PORT=${mqtt_ports[$1]}"
		"MQTT_WS_PORT=${ws_ports[$1]}")
}
