# Stops a slot of the registry when its last transfer has ended: drain.sh SLOT SECONDS, which is how long
# that may take at the most. Begun by a run (hand_over), behind words.sh and slots.sh in one file, as a
# unit of its own that goes on when the run has ended.
# shellcheck shell=sh
# shellcheck disable=SC2154 # $now and $transfers are set by the functions of the other files
set -u
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
sockets=/run/moorage-registry
slot=$1
most=$2
# Read by the probe: since when, in seconds after the server's start, and how many transfers are left.
# It survives the death of this process, not that of the server.
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
        [ "$transfers" = 0 ] || echo "$transfers transfers on slot $slot have not ended in $most seconds; they are cut off"
        break
    fi
    if [ "$transfers" != 0 ]; then
        quiet=$now
    # A worker of nginx that was replaced may still ask this slot; it may also stay for other sites.
    elif [ $((now - quiet)) -ge 30 ] || ! grep -qs '^nginx: worker process is shutting down' /proc/[0-9]*/cmdline; then
        break
    fi
    sleep 2
done
systemctl stop "moorage-registry@$slot"
rm -f "$state" "$sockets/$slot.drain.sh"
