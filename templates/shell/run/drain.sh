# Stops a registry slot when its last transfer has finished, or after a time limit: drain.sh SLOT
# SECONDS. Started by a run (stop_slot_later), concatenated to common.sh and slots.sh, in its own unit, which
# outlives the run.
# shellcheck shell=sh
# shellcheck disable=SC2154 # $now and $transfers are set by the functions of the other files
set -u
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
sockets=/run/moorage-registry
slot=$1
most=$2
# Read by the probe: when draining began, as uptime in seconds, and the number of transfers left. It
# survives this process, but not a reboot.
state=$sockets/$slot.draining

systemctl disable -q "moorage-registry@$slot"
tick
since=$now
{ read -r since _; } 2>/dev/null <"$state"
quiet=$now
while :; do
    tick
    count_transfers "$slot"
    printf '%s %s\n' "$since" "$transfers" >"$state.new" && mv -f "$state.new" "$state"
    if [ $((now - since)) -ge "$most" ]; then
        [ "$transfers" = 0 ] || echo "cutting off $transfers transfers on slot $slot after $most seconds"
        break
    fi
    if [ "$transfers" != 0 ]; then
        quiet=$now
    # An old nginx worker can still use this slot; it can also live on because of other sites.
    elif [ $((now - quiet)) -ge 30 ] || ! grep -qs '^nginx: worker process is shutting down' /proc/[0-9]*/cmdline; then
        break
    fi
    sleep 2
done
systemctl stop "moorage-registry@$slot"
rm -f "$state" "$sockets/$slot.drain.sh"
