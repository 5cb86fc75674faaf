# Starts the registry in the other slot, and ends the old one; read by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

# http_status PORT PATH: the status that something on this machine answers with, or nothing.
http_status() {
    # shellcheck disable=SC2016 # bash expands these
    timeout 20 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && printf "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n" "$2" >&3 && IFS=" " read -r _ status _ <&3 && printf "%s" "$status"' \
        bash "$1" "$2" 2>/dev/null
}

last_lines() { journalctl -u "$1" -n 15 --no-pager -o cat 2>/dev/null; }

# find_slot_port SLOT: sets $slot_port.
find_slot_port() {
    case "$1" in
    blue) slot_port=$plan_port_blue ;;
    green) slot_port=$plan_port_green ;;
    esac
}

start_slot() {
    systemctl daemon-reload
    unit=moorage-registry@$plan_slot_to
    systemctl reset-failed "$unit" 2>/dev/null
    systemctl enable -q "$unit" || fail "$unit could not be enabled"
    systemctl restart "$unit" || {
        last_lines "$unit"
        fail "$unit did not start: $(last_lines "$unit" | tail -n 1 | cut -c 1-300)"
    }
    find_slot_port "$plan_slot_to"
    tries=0
    status=
    while [ $tries -lt 120 ]; do
        if [ -e abort ]; then cancel; fi
        # An unknown repository: 404 says that the registry could look it up in its storage.
        status=$(http_status "$slot_port" /v2/moorage-health/tags/list)
        case "$status" in 200 | 404) return 0 ;; esac
        [ "$(systemctl show -p NRestarts --value "$unit")" -lt 3 ] || break
        [ "$status" = "" ] || [ $tries -lt 12 ] || break
        sleep 0.25
        tries=$((tries + 1))
    done
    last_lines "$unit"
    case "$status" in
    '') fail "the registry does not start: $(last_lines "$unit" | grep -v '^Started\|^Stopped\|Scheduled restart\|Main process\|Failed with result' | tail -n 1 | cut -c 1-300)" ;;
    *) fail "the registry starts but cannot use its storage (status $status): $(last_lines "$unit" | grep -i 'error\|denied' | tail -n 1 | cut -c 1-300)" ;;
    esac
}

# drain SLOT SECONDS: waits until nobody uses a slot any more, so long at the most.
drain() {
    tick
    patience=$((now + 30))
    deadline=$((now + $2))
    find_slot_port "$1"
    while :; do
        connected=$(ss -Htn state established "( sport = :$slot_port )" 2>/dev/null)
        tick
        if [ -z "$connected" ]; then
            are_old_workers_left || return 0
            # They stay for the long connections of other sites, too.
            [ "$now" -lt $patience ] || return 0
        fi
        if [ "$now" -ge $deadline ]; then
            say "some transfers on slot $1 have not ended; they are cut off and clients try again"
            return 0
        fi
        sleep 0.2
    done
}

drain_old() {
    for old in blue green; do
        [ "$old" != "$plan_slot_to" ] || continue
        unit=moorage-registry@$old
        # A slot is enabled before it is started, and both end together.
        [ -L "/etc/systemd/system/multi-user.target.wants/$unit.service" ] || continue
        drain "$old" "$plan_drain_seconds"
        systemctl disable -q --now "$unit"
    done
}
