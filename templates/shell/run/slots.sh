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

# is_connected SLOT LISTENER: whether nginx has connections to a slot, whose process is LISTENER. A
# slot that was started before slots had sockets listens on a port.
is_connected() {
    # Sockets are listed by network, and a container can have one of its own. Those that were accepted
    # have no flags.
    if grep -q " 00000000 0001 03 [0-9 ]*$sockets/$1/registry.sock\$" "/proc/${2:-none}/net/unix" 2>/dev/null; then
        return 0
    fi
    case "$1" in
    blue) port=5101 ;;
    green) port=5102 ;;
    esac
    [ -n "$(ss -Htn state established "( sport = :$port )" 2>/dev/null)" ]
}

# has_given_up UNIT: whether it was started three times in vain, or cannot be started at all, for
# example because something it depends on does not start.
has_given_up() {
    case "$(systemctl show -p NRestarts -p ActiveState -p Job "$1" | tr '\n' ' ')" in
    *NRestarts=[012]' '*ActiveState=[if]*Job=[0-9]*) return 1 ;;
    *NRestarts=[012]' '*ActiveState=[if]*) return 0 ;;
    *NRestarts=[012]' '*) return 1 ;;
    esac
}

start_slot() {
    systemctl daemon-reload
    unit=moorage-registry@$plan_slot_to
    systemctl reset-failed "$unit" 2>/dev/null
    systemctl enable -q "$unit" || fail "$unit could not be enabled"
    # What it was connected to may still be there.
    rm -f "$sockets/$plan_slot_to/registry.sock"
    mark_journal
    systemctl restart --no-block "$unit" 2>systemctl.log ||
        fail "$unit could not be started: $(cause <systemctl.log)"
    tries=0
    status=
    while [ $tries -lt 120 ]; do
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
    done
    show_journal "$unit"
    case "$status" in
    200 | 404) fail "what answers in slot $plan_slot_to is process ${listener:-unknown}, which $unit did not start" ;;
    '') fail "the registry does not start: $(why_registry "$unit")" ;;
    *) fail "the registry starts but cannot use its storage (status $status): $(why_registry "$unit")" ;;
    esac
}

# drain SLOT SECONDS: waits until nobody uses a slot any more, so long at the most.
drain() {
    tick
    patience=$((now + 30))
    deadline=$((now + $2))
    ask_socket "$sockets/$1/registry.sock" ''
    while :; do
        tick
        if ! is_connected "$1" "$listener"; then
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
