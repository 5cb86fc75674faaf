# Prints the registry's journal and nginx's errors: the last lines, then what comes, until standard
# input ends.
# shellcheck shell=sh
exec 3<&0
journalctl -q -n 300 -f -o short-iso --no-hostname -u 'moorage-registry@*' 2>/dev/null &
journal=$!
tail -q -n 100 -F /var/log/nginx/error.log 2>/dev/null &
errors=$!
trap 'kill "$journal" "$errors" 2>/dev/null' EXIT
while IFS= read -r _ <&3; do :; done
exit 0
