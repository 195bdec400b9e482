#!/bin/sh
# Writes the documents that the programs print: docs.sh BUILD_DIR OUT_DIR
set -eu
b=$1 out=$2
mkdir -p "$out/etc" "$out/fcgi"
"$b/plaza-fcgi" -x openapi | jq --sort-keys . >"$out/etc/openapi.json"
for system in livemarket ecommerce; do
	"$b/plaza-fcgi" -x openapi-$system | jq --sort-keys . >"$out/etc/openapi-$system.json"
done
"$b/plaza-relay" -x asyncapi | jq --sort-keys . >"$out/etc/asyncapi.json"
"$b/plaza-fcgi" -x config >"$out/etc/plaza.conf"
"$b/plaza-fcgi" -x config-mdoc >"$out/keys.mdoc"
sed -e "/^@KEYS@\$/{r $out/keys.mdoc
d
}" fcgi/plaza.conf.5.in >"$out/fcgi/plaza.conf.5"
rm "$out/keys.mdoc"
