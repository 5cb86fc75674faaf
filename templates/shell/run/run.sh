# One run of Moorage on this server. Kept in /var/lib/moorage/runs/ID with its log and result.
#
# Started as root, detached from the SSH session, with the run's folder as its only argument; the plan
# is data in that folder (plan/, content/, hooks/). Steps: recheck, back up, install, place, test; then,
# after the operator's go-ahead, switch, check, record, drain. A failed step is rolled back. The
# operator's hooks run after the recheck and after the check.
# A change of users is a run, too: it installs nothing, and after the switch it waits for the results of
# the other servers.
# Moorage parses output lines that begin with "@"; all others are log messages.
# On a small server, starting a process costs as much as the work itself, and a change of users should be
# quick, so its path uses shell built-ins where possible.
# shellcheck shell=sh source-path=SCRIPTDIR
# shellcheck disable=SC2034,SC2154 # the sourced files use these variables; the settings are plan_NAME
set -u
umask 077
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

run=$1
cd "$run" || exit 1
state=/var/lib/moorage
sockets=/run/moorage-registry

# shellcheck source=common.sh
. ./common.sh
# shellcheck source=full_disk.sh
. ./full_disk.sh
# shellcheck source=causes.sh
. ./causes.sh
# shellcheck source=watchdog.sh
. ./watchdog.sh
# shellcheck source=files.sh
. ./files.sh
# shellcheck source=additions.sh
. ./additions.sh
# shellcheck source=hooks.sh
. ./hooks.sh
# shellcheck source=packages.sh
. ./packages.sh
# shellcheck source=program.sh
. ./program.sh
# shellcheck source=storage.sh
. ./storage.sh
# shellcheck source=slots.sh
. ./slots.sh
# shellcheck source=certificate.sh
. ./certificate.sh
# shellcheck source=nginx.sh
. ./nginx.sh
# shellcheck source=schedule.sh
. ./schedule.sh
# shellcheck source=deployments.sh
. ./deployments.sh
# shellcheck source=rollback.sh
. ./rollback.sh

# A signal cancels the run, so that every end leaves a result.
trap 'outcome=cancelled && cancel' TERM INT HUP PIPE

take_locks
# Removed when the run rolls back.
true >forward || finish failed cannot_write "$run/forward"
note_current
read_settings
watch_programs 8>&- 9>&- </dev/null &

free_slot
step recheck
recheck
recheck_store
check_schedule
forget_old_runs
run_hooks hooks-before before_apply
step back-up
back_up
# One that was not kept when it was recorded: by an older version, or by a run that was killed.
keep_deployment "$plan_deployed" "$plan_slot_from" plan/deployed
rollback_needed=yes
# Steps without work are not reported: a change of users installs nothing.
if [ "$plan_takes_over_packaged_registry" = no ]; then mask_packaged_registry; fi
if [ -s plan/packages ]; then
    step packages
    install_packages
fi
if [ "$plan_package_version" != - ]; then
    step packages
    upgrade_package
fi
if ! id -u "$plan_account" >/dev/null 2>&1; then
    step account
    make_account
fi
if [ "$plan_load_image" = yes ]; then
    rollback_needed=yes
    step image
    load_image
fi
if [ "$plan_checks_version" = yes ]; then
    step version
    choose_program
fi
if [ "$plan_slot_to" != "$plan_slot_from" ]; then step registry; fi
make_folders
mark_store
stage_files
if [ "$plan_slot_to" != "$plan_slot_from" ]; then place_program; fi
place_files '/etc/moorage/*'
place_files '/etc/systemd/*'
place_files '/etc/needrestart/*'
# A changed unit always uses the other slot.
if [ "$plan_slot_to" != "$plan_slot_from" ]; then start_slot; fi
if [ "$plan_proves" = yes ] && [ "$takes_program" = yes ]; then
    step prove
    prove
fi
if [ "$plan_challenge" != - ]; then
    step certificate
    get_certificate
fi
step nginx-files
place_files '/etc/nginx/*' "$passwords"
remove_files
test_nginx
step staged
make_durable
wait_for_go
step switch
place_files "$passwords"
if [ "$plan_reload_nginx" = yes ]; then
    reload_nginx || fail nginx_not_reloaded "$(why_reload)"
fi
step check
check_nginx
run_hooks hooks-after after_apply
run_hooks hooks-after after_users
wait_for_keep
step record
# From here on the run can no longer be cancelled.
ignore_signals
record
rollback_needed=no
remove_staged
keep_deployment "$plan_deploys" "$plan_slot_to" plan/deploys
forget_deployments
set_schedule
step drain
drain_old
if [ "$plan_slot_to" != "$plan_slot_from" ]; then forget_programs; fi
finish "done" ""
