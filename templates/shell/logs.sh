# Prints the registry's journal, nginx's errors, and the requests with their users and addresses: the
# last lines, then new ones until standard input ends. The registry's own lines for completed
# requests are left out; nginx's lines have the same information.
#
# Standard input: "follow", or "once" to print no new lines; then the number of lines of each log.
# shellcheck shell=sh
exec 3<&0
IFS= read -r mode <&3
IFS= read -r lines <&3
nginx=/var/log/nginx
# Call it in a subshell, which it replaces.
registry() {
    exec journalctl -q -n "$lines" "$@" -o short-iso-precise --no-hostname --no-pager -u 'moorage-registry@*' \
        -g '^(?!.*level=info msg="response completed")' --case-sensitive 2>/dev/null
}
if [ "$mode" != follow ]; then
    (registry)
    for log in error moorage; do
        # The log of today can be short: it is rotated at night.
        { tail -q -n "$lines" "$nginx/$log.log.1"; tail -q -n "$lines" "$nginx/$log.log"; } 2>/dev/null |
            tail -n "$lines"
    done
    exit 0
fi
registry -f &
journal=$!
tail -q -n "$lines" -F "$nginx/error.log" "$nginx/moorage.log" 2>/dev/null &
requests=$!
trap 'kill "$journal" "$requests" 2>/dev/null' EXIT
while IFS= read -r _ <&3; do :; done
exit 0
