# Reads each user's last login and last push from nginx's logs.
#
# Results are cached in /var/lib/moorage/seen, in a file named after each log's inode, so that the next
# call reads only new lines. The cache file's first line has a checksum of the log's beginning, a tab
# and the number of bytes read; the other lines are this script's output for the log.
#
# Standard output: one line per log and user: the name and the two times as nginx writes them; the
# second time is empty if there was no push.
# shellcheck shell=sh
set -u
export LC_ALL=C
umask 077
renice -n 10 -p $$ >/dev/null 2>&1
state=/var/lib/moorage/seen
tab=$(printf '\t')
[ ! -d /var/lib/moorage ] || mkdir -p "$state" 2>/dev/null

# Log lines are in chronological order, so a user's last line counts. Only authenticated requests have
# an upstream ($10); in all others the user name is unverified. Cached results come first, up to a line
# "@". An incomplete last line is left for the next call.
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

# Prints the new cache file for "$log": the first line, then the users.
read_log() {
    packed=0
    case "$log" in *.gz) packed=1 ;; esac
    {
        [ "$from" = 0 ] || sed 1d "$cached"
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
    cached=$state/${found% *}
    known="$known${found% *} "
    # A new log can reuse the inode of a deleted one.
    mark=$(head -c 200 -- "$log" | cksum)
    from=0 old=
    [ ! -f "$cached" ] || IFS=$tab read -r old from <"$cached"
    case "$from" in '' | *[!0-9]* | ??????????????*) from=0 ;; esac
    if [ "$old" != "$mark" ] || [ "$from" -gt "$size" ]; then from=0; fi
    case "$log" in *.gz) [ "$from" = "$size" ] || from=0 ;; esac
    if [ "$from" = 0 ] || [ "$from" != "$size" ]; then
        if ! { read_log >"$cached.$$" && mv -f "$cached.$$" "$cached"; } 2>/dev/null; then
            # The cache cannot be written, for example on a full disk: the next call reads it all.
            rm -f "$cached.$$"
            read_log | sed 1d
            continue
        fi
    fi
    sed 1d "$cached"
done
for cached in "$state"/*; do
    case "$known" in *" ${cached##*/} "*) ;; *) rm -f "$cached" ;; esac
done
exit 0
