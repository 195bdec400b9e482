# Words that all deploy scripts share. Sourced, never run.
# shellcheck shell=bash

say() {
	printf '%s\n' "$*" >&2
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# fill TEMPLATE NAME=VALUE...: prints the template with every @NAME@ replaced. One that has no value is
# an error, so that a template and its callers cannot drift apart.
fill() {
	local template=$1
	shift
	awk -v args="$#" '
	BEGIN {
		for (i = 1; i <= args; i++) {
			eq = index(ARGV[i], "=")
			value[substr(ARGV[i], 1, eq - 1)] = substr(ARGV[i], eq + 1)
			ARGV[i] = ""
		}
	}
	{
		out = ""
		while (match($0, /@[A-Z0-9_]+@/)) {
			name = substr($0, RSTART + 1, RLENGTH - 2)
			if (!(name in value)) {
				print FILENAME ": no value for " name > "/dev/stderr"
				exit 1
			}
			out = out substr($0, 1, RSTART - 1) value[name]
			$0 = substr($0, RSTART + RLENGTH)
		}
		print out $0
	}' "$@" "$template"
}

# Every service's socket must fit sockaddr_un; "postgres/.s.PGSQL.5432" is the longest name below it.
socket_path_fits() {
	[ "${#1}" -le 80 ]
}
