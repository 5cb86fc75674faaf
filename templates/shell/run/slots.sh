# Starts the registry in the other slot, and ends the old one; read by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

# ask_socket SOCKET PATH: sets $listener to the process that listens on a unix socket, and $status to
# what it answers with; to nothing what cannot be known. perl is on every Debian; curl is not.
ask_socket() {
    listener='' status=''
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

# is_part_of SLOT PROCESS: whether a process is the registry that runs in a slot's unit.
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

# count_transfers SLOT: sets $transfers to how many connections nginx has to a slot. One that was started
# before slots had sockets listens on a port.
count_transfers() {
    # Sockets are listed by network, and a container can have one of its own. Those that were accepted
    # have no flags; the same list read twice has the same lines.
    # shellcheck disable=SC2046 # one word a file
    transfers=$(grep -hs " 00000000 0001 03 [0-9 ]*$sockets/$1/registry.sock\$" /proc/net/unix \
        $(find /proc -maxdepth 1 -name '[1-9]*' -user moorage -printf '%p/net/unix ' 2>/dev/null) | sort -u | grep -c .)
    case "$1" in
    blue) port=5101 ;;
    green) port=5102 ;;
    esac
    set -- "$(ss -Htn state established "( sport = :$port )" 2>/dev/null | grep -c .)"
    transfers=$((transfers + $1))
}

# has_given_up UNIT: whether it was started three times in vain, or cannot be started at all, for
# example because something it depends on does not start.
has_given_up() {
    case "$(systemctl show -p NRestarts -p ActiveState -p Job "$1" | tr '\n' ' ')" in
    '') return 1 ;;
    *NRestarts=[012]' '*ActiveState=[if]*Job=[0-9]*) return 1 ;;
    *NRestarts=[012]' '*ActiveState=[if]*) return 0 ;;
    *NRestarts=[012]' '*) return 1 ;;
    esac
}

start_slot() {
    systemctl daemon-reload
    unit=moorage-registry@$plan_slot_to
    systemctl reset-failed "$unit" 2>/dev/null
    systemctl enable -q "$unit" || fail unit_not_changed "$unit"
    # What it was connected to may still be there.
    rm -f "$sockets/$plan_slot_to/registry.sock"
    mark_journal
    systemctl restart --no-block "$unit" 2>systemctl.log ||
        fail unit_not_started "$unit" "$(cause <systemctl.log)"
    tries=0
    status=
    tick
    deadline=$((now + plan_step_seconds))
    while [ $tries -lt 120 ] && [ "$now" -lt $deadline ]; do
        if [ -e abort ]; then cancel; fi
        # An unknown repository: 404 says that the registry could look it up in its storage.
        ask_socket "$sockets/$plan_slot_to/registry.sock" /v2/moorage-health/tags/list
        case "$status" in
        # nginx can connect only once the unit's last command has opened the socket to it.
        200 | 404) if is_part_of "$plan_slot_to" "$listener" && systemctl is-active -q "$unit"; then return 0; fi ;;
        esac
        if has_given_up "$unit"; then break; fi
        [ "$status" = "" ] || [ $tries -lt 12 ] || break
        sleep 0.25
        tries=$((tries + 1))
        tick
    done
    show_journal "$unit"
    case "$status" in
    200 | 404) fail slot_taken "$plan_slot_to" "$listener" "$unit" ;;
    '') fail registry_not_starting "$(why_registry "$unit")" ;;
    *) fail storage_not_usable "$status" "$(why_registry "$unit")" ;;
    esac
}

# leave SLOT: stops a slot that gets no new requests. When its last transfer does not end soon, that is
# left to a unit of its own, so that the run can end.
leave() {
    tick
    deadline=$((now + 5))
    while
        count_transfers "$1"
        [ "$transfers" != 0 ] || are_old_workers_left
    do
        tick
        if [ "$now" -ge $deadline ]; then
            hand_over "$1"
            return
        fi
        sleep 0.2
    done
    systemctl disable -q --now "moorage-registry@$1" ||
        printf '@warning\tslot %s could not be stopped; the next apply stops it\n' "$1"
}

# hand_over SLOT: what is read of it is /run/moorage-registry/SLOT.draining (see drain.sh).
hand_over() {
    stop_draining "$1"
    install -d -m 0755 "$sockets"
    if ! { cat words.sh slots.sh drain.sh >"$sockets/$1.drain.sh" &&
        systemd-run --quiet --collect --unit="moorage-drain-$1" --property=Restart=on-failure --property=RestartSec=1 \
            --description="Moorage: stop slot $1 when its transfers have ended" \
            /bin/sh "$sockets/$1.drain.sh" "$1" "$plan_drain_seconds" >drain.log 2>&1; }; then
        printf '@warning\tslot %s goes on running: what stops it could not be started: %s\n' "$1" "$(tail -n 1 drain.log)"
        return
    fi
    say "slot $1 still sends $transfers transfers; it stops by itself when they have ended, in $((plan_drain_seconds / 3600)) hours at the latest"
}

# stop_draining SLOT: nobody stops the slot any more.
stop_draining() {
    systemctl stop "moorage-drain-$1" 2>/dev/null
    rm -f "$sockets/$1.draining" "$sockets/$1.drain.sh"
}

drain_old() {
    for old in blue green; do
        [ "$old" != "$plan_slot_to" ] || continue
        # A slot is enabled before it is started, and until it is left.
        [ -L "/etc/systemd/system/multi-user.target.wants/moorage-registry@$old.service" ] || continue
        leave "$old"
    done
}

# What was asked of the slot that is to be started, before an earlier switch, is sent to its end.
free_slot() {
    [ "$plan_slot_to" != "$plan_slot_from" ] || return 0
    count_transfers "$plan_slot_to"
    if [ "$transfers" != 0 ]; then
        step wait
        wait_for_transfers
    fi
    stop_draining "$plan_slot_to"
}

# end_slot SLOT: stops it with its transfers, to which the registry would otherwise give another minute.
end_slot() {
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
        # A run that died may have left nginx sending to this slot, and its files to the other.
        is_active "moorage-registry@$plan_slot_from"
        case $? in
        1) return 0 ;;
        2) fail unit_state_unknown "moorage-registry@$plan_slot_from" ;;
        esac
        if nginx -t -q 2>/dev/null; then reload_nginx; fi
    fi
    if [ "$plan_ends_transfers" = yes ]; then
        say "ending $transfers transfers on slot $plan_slot_to"
        end_slot "$plan_slot_to"
        return 0
    fi
    tick
    deadline=$((now + plan_wait_seconds))
    while
        count_transfers "$plan_slot_to"
        [ "$transfers" != 0 ]
    do
        if [ -e abort ]; then cancel; fi
        tick
        [ "$now" -lt $deadline ] || fail transfers_in_the_way "$plan_slot_to" "$transfers"
        sleep 0.5
    done
}
