# Removes what an uninstall has left for its result to be read: its run, and the logs of the earlier ones. The
# record of packages, accounts and folders that stay is kept.
#
# Standard input: the run's ID. Exits with 3 if another run has begun since.
# shellcheck shell=sh
set -u
IFS= read -r id
state=/var/lib/moorage
run=$state/runs/$id
# The disk was full (start.sh).
if [ -d "/run/moorage-runs/$id" ]; then run=/run/moorage-runs/$id; fi
[ -d "$run" ] || exit 0
exec 9>>"$state/lock"
flock -n 9 || exit 3
read -r status <"$run/result" && [ "$status" = "done" ] || exit 3
[ ! -e /etc/moorage/deployment.json ] || exit 3
rm -rf -- "$state/runs" /run/moorage-runs "$state/current" "$state/current.new"
if [ ! -s "$state/additions" ]; then rm -f -- "$state/additions"; fi
rm -f -- "$state/additions.new" "$state/lock"
# Stays with what is not Moorage's, and with images.
rmdir -- "$state" 2>/dev/null || :
