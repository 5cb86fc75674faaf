# Reads from nginx's logs when each user was last let in and last pushed.
#
# What was read of a log is kept in /var/lib/moorage/seen, in a file named after the log's inode, so that
# the next time only what is new is read. Its first line is a mark of the log's beginning, a tab and the
# bytes that were read; the others are what this script writes of the log.
#
# Standard output: one line for each log and user in it: the name as nginx writes it, and the two
# times as nginx writes them; the second is empty without a push.
# shellcheck shell=sh
set -u
export LC_ALL=C
umask 077
renice -n 10 -p $$ >/dev/null 2>&1
state=/var/lib/moorage/seen
tab=$(printf '\t')
[ ! -d /var/lib/moorage ] || mkdir -p "$state" 2>/dev/null

# Lines of a log are in the order of their times, so the last one of a user counts. Only a request
# that was let in has been handed on ($10, the upstream); all others carry a name that is only claimed.
# What is known from earlier comes first, up to a line "@". A line that nginx has not finished writing
# is left for the next time.
# shellcheck disable=SC2016 # awk expands these
latest='
!reading && $0 == "@" { reading = 1; next }
!reading { seen[$1] = $2; pushed[$1] = $3; next }
{ bytes += length($0) + 1 }
$2 == "-" || $10 == "-" || $10 == "" || $3 == 401 || $3 == 429 { next }
{ seen[$2] = $1 }
$3 == 201 && $4 == "PUT" && $5 ~ /^\/v2\/.+\/manifests\/[^\/]+$/ { pushed[$2] = $1 }
END {
    if (bytes > size) bytes -= length($0) + 1
    printf "%s\t%.0f\n", mark, packed ? size : from + bytes
    for (user in seen) printf "%s\t%s\t%s\n", user, seen[user], pushed[user]
}
'

# Writes what to keep of the log "$log": its first line, then the users.
read_log() {
    packed=0
    case "$log" in *.gz) packed=1 ;; esac
    {
        [ "$from" = 0 ] || sed 1d "$kept"
        echo @
        if [ "$packed" = 1 ]; then
            gzip -dc -- "$log" 2>/dev/null
        else
            tail -c "+$((from + 1))" -- "$log" | head -c "$((size - from))"
        fi
    } | awk -F '\t' -v mark="$mark" -v packed="$packed" -v from="$from" \
        -v size="$((packed ? size : size - from))" "$latest"
}

known=' '
for log in /var/log/nginx/moorage.log*; do
    if [ ! -f "$log" ] || [ -L "$log" ]; then continue; fi
    found=$(stat -c '%i %s' -- "$log" 2>/dev/null) || continue
    size=${found#* }
    kept=$state/${found% *}
    known="$known${found% *} "
    # A new log can have the inode of one that is gone.
    mark=$(head -c 200 -- "$log" | cksum)
    from=0 old=
    [ ! -f "$kept" ] || IFS=$tab read -r old from <"$kept"
    case "$from" in '' | *[!0-9]* | ??????????????*) from=0 ;; esac
    if [ "$old" != "$mark" ] || [ "$from" -gt "$size" ]; then from=0; fi
    case "$log" in *.gz) [ "$from" = "$size" ] || from=0 ;; esac
    if [ "$from" = 0 ] || [ "$from" != "$size" ]; then
        if ! { read_log >"$kept.$$" && mv -f "$kept.$$" "$kept"; } 2>/dev/null; then
            # Nothing can be kept, on a full disk for example: then it is read again the next time.
            rm -f "$kept.$$"
            read_log | sed 1d
            continue
        fi
    fi
    sed 1d "$kept"
done
for kept in "$state"/*; do
    case "$known" in *" ${kept##*/} "*) ;; *) rm -f "$kept" ;; esac
done
exit 0
