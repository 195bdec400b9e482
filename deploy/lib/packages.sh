# Installs what is missing of deploy/packages.txt, without starting or stopping any service.
# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of deploy/run

packages_of() {
	awk -v wanted=" $* " '
	/^#/ || NF == 0 { next }
	/^\[/ { on = index(wanted, " " substr($0, 2, length($0) - 2) " "); next }
	on' "$deploy/packages.txt" | sort -u
}

# A package counts as installed when another one provides it, as nodejs of NodeSource does npm.
packages_missing() {
	local have
	have=$(dpkg-query -W -f '${db:Status-Status},${Package},${Provides}\n' | sed -n 's/^installed,//p' |
		sed 's/([^)]*)//g' | tr -s ', ' '\n')
	packages_of "$@" | grep -vxF "$have" || true
}

# Debian starts a service when its package is installed, and at every boot. Ours run privately, so both
# are prevented for packages that come now; services that were here before are not touched.
packages_install() {
	local missing root=() deny=/usr/sbin/policy-rc.d denied=
	missing=$(packages_missing "$@" | tr '\n' ' ')
	[ -n "${missing% }" ] || return 0
	say "Installing Debian packages: $missing"
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || die "these packages are missing and there is no sudo: $missing"
		root=(sudo)
	fi
	if [ ! -e "$deny" ]; then
		denied=yes
		trap '"${root[@]}" rm -f "$deny"; exit 130' INT TERM HUP
		printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$deny" >/dev/null
		"${root[@]}" chmod 755 "$deny"
	fi
	local status=0 log
	log=$(mktemp /tmp/plaza-apt.XXXXXX)
	# shellcheck disable=SC2086 # a list of names
	{
		"${root[@]}" apt-get -q update && "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
			apt-get -q install -y --no-install-recommends $missing
	} >"$log" 2>&1 || status=$?
	[ -z "$denied" ] || "${root[@]}" rm -f "$deny"
	trap - INT TERM HUP
	[ "$status" = 0 ] || { tail -n 20 "$log" >&2 && die "apt-get failed, see $log"; }
	rm -f "$log"
	units_disable "$missing" "${root[@]}"
}

units_disable() {
	local p units=
	for p in $1; do
		case $p in
		postgresql-15) units+=" postgresql.service" ;;
		redis-server | mosquitto | apache2) units+=" $p.service" ;;
		nginx-light) units+=" nginx.service" ;;
		ejabberd) units+=" ejabberd.service" ;;
		erlang-base) units+=" epmd.service epmd.socket" ;;
		esac
	done
	shift
	[ -n "$units" ] && [ -d /run/systemd/system ] || return 0
	# shellcheck disable=SC2086 # a list of names
	"$@" systemctl disable -q $units || true
}
