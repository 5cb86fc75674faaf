# Starts the registry in the other slot, and stops the old one; sourced by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

# request_socket SOCKET PATH: sets $listener to the process that listens on a unix socket, and $status to
# its HTTP status; empty if unknown. Every Debian has perl, but not curl.
request_socket() {
    listener='' status=''
    [ -S "$1" ] || return 0
    # shellcheck disable=SC2016 # perl expands these
    answer=$(timeout 20 perl -MSocket -MIO::Socket::UNIX -e '
        my $socket = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit 1;
        my ($pid) = unpack "l", getsockopt($socket, SOL_SOCKET, SO_PEERCRED);
        print "$pid ";
        if (length $ARGV[1]) {
            print $socket "GET $ARGV[1] HTTP/1.0\r\nHost: localhost\r\n\r\n";
            $socket->flush;
            print $1 if (<$socket> // "") =~ m{^HTTP/1\.[01] (\d{3}) };
        }
    ' "$1" "$2" 2>/dev/null)
    read -r listener status <<END
$answer
END
}

# is_part_of SLOT PROCESS: whether a process belongs to a slot's unit or container.
is_part_of() {
    if [ "$plan_engine" = - ]; then
        main=$(systemctl show -p MainPID --value "moorage-registry@$1")
    else
        main=$("$plan_engine" inspect --format '{{.State.Pid}}' "moorage-registry-$1" 2>/dev/null)
    fi
    ancestor=$2
    while [ "${ancestor:-0}" -gt 1 ] && [ "${main:-0}" -gt 1 ]; do
        [ "$ancestor" != "$main" ] || return 0
        ancestor=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$ancestor/status" 2>/dev/null)
    done
    return 1
}

# count_transfers SLOT: sets $transfers to the number of nginx's connections to a slot. Slots from
# versions without sockets listen on a port.
count_transfers() {
    case "$1" in
    blue) port=13ED ;;
    green) port=13EE ;;
    esac
    # Sockets are listed per network namespace, and a container can have its own. Accepted unix sockets have
    # no flags, and TCP sockets are in state 01; awk drops lines from namespaces that are read twice.
    # shellcheck disable=SC2046 # one word a file
    transfers=$(grep -hs " 00000000 0001 03 [0-9 ]*$sockets/$1/registry.sock\$\|^ *[0-9]*: [0-9A-F]*:$port [0-9A-F:]* 01 " \
        /proc/net/unix /proc/net/tcp /proc/net/tcp6 \
        $(find /proc -maxdepth 1 -name '[1-9]*' -user moorage -printf '%p/net/unix ' 2>/dev/null) |
        awk '!seen[$0]++ { count++ } END { print count + 0 }')
}

# has_failed_to_start UNIT: whether three starts have failed, or it cannot be started at all, for example
# because a dependency fails.
has_failed_to_start() {
    case "$(systemctl show -p NRestarts -p ActiveState -p Job "$1")$newline" in
    "$newline") return 1 ;;
    *NRestarts=[012]"$newline"*ActiveState=[if]*Job=[0-9]*) return 1 ;;
    *NRestarts=[012]"$newline"*ActiveState=[if]*) return 0 ;;
    *NRestarts=[012]"$newline"*) return 1 ;;
    esac
}

start_slot() {
    unit=moorage-registry@$plan_slot_to
    # Otherwise it reloads as well, which is the most work of all that systemd does here.
    systemctl enable -q --no-reload "$unit" || fail unit_not_changed "$unit"
    systemctl daemon-reload
    systemctl reset-failed "$unit" 2>/dev/null
    socket=$sockets/$plan_slot_to/registry.sock
    # Remove a stale one.
    if [ -e "$socket" ] || [ -L "$socket" ]; then rm -f "$socket"; fi
    mark_journal
    systemctl restart --no-block "$unit" 2>systemctl.log ||
        fail unit_not_started "$unit" "$(cause <systemctl.log)"
    status='' serves=no tries=0
    wait_until "$plan_step_seconds" 0.25 has_slot_started
    [ $serves = no ] || return 0
    case "$status" in
    200 | 404)
        show_journal "$unit"
        fail slot_taken "$plan_slot_to" "$listener" "$unit"
        ;;
    esac
    why=$(why_registry "$unit")
    if [ "$plan_bucket" != - ]; then check_bucket "$why"; fi
    show_journal "$unit"
    [ -n "$status" ] || fail registry_not_starting "$why"
    fail storage_not_usable "$status" "$why"
}

# Whether the new slot serves, which sets $serves, or will not.
has_slot_started() {
    # An unknown repository: status 404 proves that the registry can read its storage.
    request_socket "$socket" /v2/moorage-health/tags/list
    case "$status" in
    # nginx can connect only after the unit's last command has opened the socket to it.
    200 | 404) if is_part_of "$plan_slot_to" "$listener" && systemctl is-active -q "$unit"; then serves=yes && return 0; fi ;;
    esac
    if has_failed_to_start "$unit"; then return 0; fi
    tries=$((tries + 1))
    [ $tries -ge 120 ] || { [ "$status" != "" ] && [ $tries -gt 12 ]; }
}

# retire_slot SLOT: stops a slot that gets no new requests. If its transfers do not finish soon, a separate
# unit does it later, so that the run can end.
retire_slot() {
    if ! wait_until "$plan_retire_seconds" 0.2 is_unused "$1"; then
        stop_slot_later "$1"
        return
    fi
    systemctl disable -q --now "moorage-registry@$1" ||
        printf '@warning\tslot %s could not be stopped; the next apply stops it\n' "$1"
}

# is_unused SLOT: whether a slot has no transfers, and no nginx worker that could start one.
is_unused() { has_no_transfers "$1" && ! are_old_workers_left; }

has_no_transfers() {
    count_transfers "$1"
    [ "$transfers" = 0 ]
}

# stop_slot_later SLOT: starts the unit that stops a slot later (see drain.sh).
stop_slot_later() {
    stop_draining "$1"
    install -d -m 0755 "$sockets"
    if ! { cat common.sh slots.sh drain.sh >"$sockets/$1.drain.sh" &&
        systemd-run --quiet --collect --unit="moorage-drain-$1" --property=Restart=on-failure --property=RestartSec=1 \
            --description="Moorage: stop slot $1 when its transfers have ended" \
            /bin/sh "$sockets/$1.drain.sh" "$1" "$plan_drain_seconds" >drain.log 2>&1; }; then
        printf '@warning\tslot %s keeps running: the unit that stops it could not be started: %s\n' "$1" "$(tail -n 1 drain.log)"
        return
    fi
    # That unit does it as well, in case this run is killed here; but it may not have got to it yet, and after
    # a crash of the server the slot is not to be started again.
    systemctl disable -q "moorage-registry@$1"
    say "slot $1 still has $transfers transfers; it stops by itself when they have finished, after $((plan_drain_seconds / 3600)) hours at the latest"
}

# stop_draining SLOT: cancels that unit.
stop_draining() {
    systemctl stop "moorage-drain-$1" 2>/dev/null
    rm -f "$sockets/$1.draining" "$sockets/$1.drain.sh"
}

drain_old() {
    for old in blue green; do
        [ "$old" != "$plan_slot_to" ] || continue
        # A slot is enabled from before its start until it is left.
        [ -L "/etc/systemd/system/multi-user.target.wants/moorage-registry@$old.service" ] || continue
        retire_slot "$old"
    done
}

# Lets transfers from before an earlier switch finish on the slot that is about to be started.
free_slot() {
    [ "$plan_slot_to" != "$plan_slot_from" ] || return 0
    count_transfers "$plan_slot_to"
    if [ "$transfers" != 0 ]; then
        step wait
        wait_for_transfers
    fi
    stop_draining "$plan_slot_to"
}

# kill_slot SLOT: stops a slot and its transfers at once; the registry would give them another minute.
kill_slot() {
    systemctl stop "moorage-drain-$1" 2>/dev/null
    systemctl stop --no-block "moorage-registry@$1"
    if [ "$plan_engine" = - ]; then
        systemctl kill --signal=KILL "moorage-registry@$1"
    else
        "$plan_engine" kill "moorage-registry-$1"
    fi >/dev/null 2>&1
    systemctl stop "moorage-registry@$1"
}

wait_for_transfers() {
    if ! systemctl is-active -q "moorage-drain-$plan_slot_to"; then
        # After a killed run, nginx can still be using this slot while its files name the other.
        is_active "moorage-registry@$plan_slot_from"
        case $? in
        1) return 0 ;;
        2) fail unit_state_unknown "moorage-registry@$plan_slot_from" ;;
        esac
        if nginx -t -q 2>/dev/null; then reload_nginx; fi
    fi
    if [ "$plan_ends_transfers" = yes ]; then
        say "ending $transfers transfers on slot $plan_slot_to"
        kill_slot "$plan_slot_to"
        return 0
    fi
    wait_until "$plan_wait_seconds" 0.5 has_no_transfers "$plan_slot_to" ||
        fail transfers_in_the_way "$plan_slot_to" "$transfers"
}
