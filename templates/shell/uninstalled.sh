# Removes what an uninstall has left for its result to be read: Moorage's state, but neither the images in it
# nor the record of packages, accounts and folders that stay.
#
# Standard input: the run's ID; the images folder, or -. Exits with 3 if another run has begun since.
# shellcheck shell=sh
set -u
IFS= read -r id
IFS= read -r images
state=/var/lib/moorage
[ -d "$state/runs/$id" ] || exit 0
exec 9>>"$state/lock"
flock -n 9 || exit 3
read -r status <"$state/runs/$id/result" && [ "$status" = "done" ] || exit 3
[ ! -e /etc/moorage/deployment.json ] || exit 3
for each in "$state"/* "$state"/.[!.]*; do
    case "$images" in "$each" | "$each"/*) continue ;; esac
    if [ "$each" = "$state/additions" ] && [ -s "$each" ]; then continue; fi
    rm -rf -- "$each"
done
# Stays if the images are in it.
rmdir -- "$state" 2>/dev/null || :
