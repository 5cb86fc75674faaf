# Brings the index of pushes and pulls up to date and prints it, as gzip.
#
# Standard input: moorage/images/activity.py, for servers without the service: there the index is
# printed as far as nginx's logs go, and not kept.
# Exits with 3 if Python is missing, 4 if the logs could not be read.
# shellcheck shell=sh
set -u
export LC_ALL=C
umask 077
service=moorage-activity.service
index=/var/lib/moorage/activity/index
# From earlier versions.
rm -rf /var/lib/moorage/seen
if systemctl cat "$service" >/dev/null 2>&1; then
    if ! systemctl start "$service" 2>/dev/null; then
        journalctl -q -n 1 -o cat --no-pager -u "$service" _COMM=python3 >&2
        exit 4
    fi
    exec gzip -1c "$index"
fi
command -v python3 >/dev/null 2>&1 || exit 3
renice -n 10 -p $$ >/dev/null 2>&1
found=$(python3 -I -B -) || exit 4
printf '%s\n' "$found" | gzip -1
