# Prints the end of a run's log, as gzip.
#
# Standard input: the run's ID, and the most bytes to print. Exits with 3 if the run is not kept here.
# shellcheck shell=sh
set -u
export LC_ALL=C
IFS= read -r id
IFS= read -r most
case "$id" in '' | .* | */*) exit 3 ;; esac
cd "/var/lib/moorage/runs/$id" 2>/dev/null || exit 3
[ -f log ] && [ ! -L log ] || exit 3
tail -c "$most" log | gzip -1
