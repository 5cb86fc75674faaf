# Removes the registry from this server. Like every run, it is kept in /var/lib/moorage/runs/ID with its log
# and result, until Moorage has read the result (uninstalled.sh).
#
# Started as root, detached from the SSH session, with the run's folder as its only argument; the plan is
# data in that folder (plan/). Each step can be repeated, so that the next uninstall completes one that was
# interrupted: the record of what to give back goes last.
# shellcheck shell=sh source-path=SCRIPTDIR
# shellcheck disable=SC2034,SC2154 # the sourced files use these variables; the settings are plan_NAME
set -u
umask 077
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

run=$1
cd "$run" || exit 1
state=/var/lib/moorage

# shellcheck source=../run/common.sh
. ./common.sh
# shellcheck source=../run/full_disk.sh
. ./full_disk.sh
# shellcheck source=../run/causes.sh
. ./causes.sh
# shellcheck source=../run/additions.sh
. ./additions.sh
# shellcheck source=../run/packages.sh
. ./packages.sh
# shellcheck source=../run/nginx.sh
. ./nginx.sh
# shellcheck source=../run/storage.sh
. ./storage.sh
# shellcheck source=services.sh
. ./services.sh
# shellcheck source=give_back.sh
. ./give_back.sh

trap 'outcome=cancelled && cancel' TERM INT HUP PIPE

take_locks
# On a full disk, this run is in memory, and all that others lack is its ID.
rm -f "$state/current"
printf '%s\n' "${run##*/}" 2>/dev/null >"$state/current"
read_settings
# Written before anything is removed, so that a full disk does not lose it.
printf 'done\n\n\n' >result.new || finish failed cannot_write "$run/result"

step recheck
recheck_images
if [ ! -s "$additions" ]; then cp plan/added "$additions" || cannot_write "$additions"; fi
for each in "$state"/runs/*; do if [ ! -e "$each/result" ]; then note_packages_of "$each"; fi; done
step back-up
keep_copies
# From here on the run can no longer be cancelled.
ignore_signals
step stop
stop_timers
step leave-nginx
leave_nginx
step stop-registry
stop_registry
if [ "$plan_images" = delete ]; then
    step delete-images
    delete_images
fi
step remove-files
remove_files_and_units
step give-back
give_back_images
remove_held_images
choose_packages
give_back_units
remove_packages
give_back_account
# The marker of the images goes late: the next uninstall checks it, too.
if [ "$plan_images" = delete ]; then rm -f -- "$plan_storage_folder/.moorage-store"; fi
remove_empty_folders
note_what_remains
# The record goes last, because an interrupted uninstall is continued with it.
rm -rf /etc/moorage || fail cannot_remove /etc/moorage
finish "done" ""
