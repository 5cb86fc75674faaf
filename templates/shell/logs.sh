# Prints the registry's journal, nginx's errors, and the requests with their users and addresses: the
# last lines, then new ones until standard input ends. The registry's own lines for completed
# requests are left out; nginx's lines have the same information.
# shellcheck shell=sh
exec 3<&0
journalctl -q -n 300 -f -o short-iso --no-hostname -u 'moorage-registry@*' \
    -g '^(?!.*level=info msg="response completed")' --case-sensitive 2>/dev/null &
journal=$!
tail -q -n 100 -F /var/log/nginx/error.log /var/log/nginx/moorage.log 2>/dev/null &
nginx=$!
trap 'kill "$journal" "$nginx" 2>/dev/null' EXIT
while IFS= read -r _ <&3; do :; done
exit 0
