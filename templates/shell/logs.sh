# Prints the registry's journal, nginx's errors, and the requests with their users and addresses: the
# last lines, then new ones until standard input ends. The registry's own lines for completed
# requests are left out; nginx's lines have the same information.
#
# Standard input: "follow", or "once" to print no new lines; the number of lines of each log; then how far
# the journal, nginx's errors and the requests have been read before, to continue there: a time in seconds
# since 1970, and "INODE OFFSET" of each file; or "-".
# Standard output: lines that begin with "j", "e" or "r" for their log. "e@ INODE OFFSET" is where the next
# line of the errors is in a file, and "e@ gap" that some before it were not found. "@" is the first line of
# all when following.
# shellcheck shell=sh
export LC_ALL=C
exec 3<&0
IFS= read -r mode <&3
IFS= read -r lines <&3
IFS= read -r since <&3
IFS= read -r errors_at <&3
IFS= read -r requests_at <&3
nginx=/var/log/nginx
# Call it in a subshell, which it replaces.
registry() {
    exec journalctl -q "$@" -o short-iso-precise --no-hostname --no-pager -u 'moorage-registry@*' \
        -g '^(?!.*level=info msg="response completed")' --case-sensitive 2>/dev/null
}
tag() { exec stdbuf -oL sed "s/^/$1/"; }
if [ "$mode" != follow ]; then
    (registry -n "$lines") | (tag j)
    for log in error moorage; do
        # The log of today can be short: it is rotated at night.
        { tail -q -n "$lines" "$nginx/$log.log.1"; tail -q -n "$lines" "$nginx/$log.log"; } 2>/dev/null |
            tail -n "$lines" | case "$log" in error) (tag e) ;; *) (tag r) ;; esac
    done
    exit 0
fi

# find_start FILE: sets $at to where the last lines of a file begin. It can grow meanwhile.
find_start() {
    size=$(stat -L -c %s "$1")
    # No more than 16 KiB a line: the file can be large.
    at=$((size - lines * 16384))
    [ "$at" -gt 0 ] || at=0
    at=$((size - $(tail -c "+$((at + 1))" "$1" | head -c $((size - at)) | tail -n "$lines" | wc -c)))
}

# follow_file FILE INODE OFFSET: prints a file from there, across rotations.
follow_file() {
    reader=
    trap 'kill "$reader" 2>/dev/null; exit 0' TERM
    at=$3
    if [ "$2" != - ] && [ "$(stat -c %i "$1" 2>/dev/null)" != "$2" ]; then
        if [ "$(stat -c %i "$1.1" 2>/dev/null)" = "$2" ]; then
            printf '@ %s %s\n' "$2" "$at"
            tail -c "+$((at + 1))" "$1.1"
        else
            echo '@ gap'
        fi
        at=0
    fi
    while :; do
        until [ -r "$1" ] && command exec 5<"$1"; do sleep 1; done
        inode=$(stat -L -c %i /dev/fd/5)
        [ "$at" != - ] || find_start /dev/fd/5
        # Truncated instead of renamed.
        [ "$at" -le "$(stat -L -c %s /dev/fd/5)" ] || at=0
        printf '@ %s %s\n' "$inode" "$at"
        tail -c "+$((at + 1))" -f /dev/fd/5 2>/dev/null &
        reader=$!
        while sleep 1 && { [ ! -e "$1" ] || [ "$1" -ef /dev/fd/5 ]; }; do :; done
        # nginx writes to the old file until logrotate has told it to open the new one.
        sleep 1
        kill "$reader"
        at=0
    done
}

# Lines of the three are written one at a time, whole.
# In memory: the logs are needed most when a disk is full.
pipes=$(mktemp -d "${TMPDIR:-/run}/moorage-logs.XXXXXX") && mkfifo "$pipes/j" "$pipes/e" "$pipes/r" || exit 1
trap 'exit 0' HUP INT TERM
echo @
for name in j e r; do (tag "$name") <"$pipes/$name" & done
if [ "$since" = - ]; then set -- -n "$lines"; else set -- --no-tail --since "@$since"; fi
registry -f "$@" >"$pipes/j" &
journal=$!
# shellcheck disable=SC2086 # two words
follow_file "$nginx/error.log" $errors_at >"$pipes/e" &
errors=$!
# shellcheck disable=SC2086 # likewise
follow_file "$nginx/moorage.log" $requests_at >"$pipes/r" &
requests=$!
trap 'rm -rf "$pipes"; kill "$journal" "$errors" "$requests" 2>/dev/null' EXIT
while IFS= read -r _ <&3; do :; done
exit 0
