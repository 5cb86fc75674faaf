# Reads from nginx's log when each user was last let in and last pushed, and changes nothing.
#
# Standard output: one line for each log and user in it: the name as nginx writes it, and the two
# times as nginx writes them; the second is empty without a push.
# shellcheck shell=sh
set -u
export LC_ALL=C
renice -n 10 -p $$ >/dev/null 2>&1

# Lines of a log are in the order of their times, so the last one of a user counts. Only a request
# that was let in has been handed on ($10, the upstream); all others carry a name that is only claimed.
# shellcheck disable=SC2016 # awk expands these
latest='
$2 == "-" || $10 == "-" || $10 == "" || $3 == 401 || $3 == 429 { next }
{ seen[$2] = $1 }
$3 == 201 && $4 == "PUT" && $5 ~ /^\/v2\/.+\/manifests\/[^\/]+$/ { pushed[$2] = $1 }
END { for (user in seen) printf "%s\t%s\t%s\n", user, seen[user], pushed[user] }
'
for log in /var/log/nginx/moorage.log*; do
    case "$log" in
    *.gz) gzip -dc -- "$log" 2>/dev/null | awk -F '\t' "$latest" ;;
    *) [ ! -f "$log" ] || awk -F '\t' "$latest" <"$log" ;;
    esac
done
exit 0
