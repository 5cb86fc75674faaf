# Tests and reloads nginx, and checks its responses; sourced by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

# The workers from before the last reload: they can still send accepted requests to the old slot.
old_workers=

test_nginx() {
    nginx -t >nginx.log 2>&1 && return 0
    cat nginx.log
    fail nginx_refuses "$(why_nginx <nginx.log)"
}

# Sets $workers to the PIDs of nginx's children. (The kernel's own lists of children can be incomplete.)
find_workers() {
    workers=
    # shellcheck disable=SC2013 # one word a line
    for worker in $(grep -lsx "PPid:$tab$master" /proc/[0-9]*/status); do
        worker=${worker#/proc/}
        workers="$workers${worker%/status} "
    done
}

# Waits for a binary upgrade of nginx, which Debian starts when a module is installed: a reload in the
# middle of it would be lost.
wait_for_nginx_upgrade() {
    pid_file=$(systemctl show -p PIDFile --value nginx)
    wait_until 10 0.1 test ! -e "${pid_file:-/run/nginx.pid}.oldbin"
}

# Sets $master to the PID of an nginx that was started by hand, or to 0. While it runs, systemd cannot
# start another one; it accepts the same signals.
find_nginx_by_hand() {
    pid_file=$(systemctl show -p PIDFile --value nginx)
    master=0
    { read -r master; } 2>/dev/null <"${pid_file:-/run/nginx.pid}"
    case "$master" in '' | *[!0-9]*) master=0 ;; esac
    read_title "$master"
    case "$title" in 'nginx: master process'*) return 0 ;; esac
    master=0
    return 1
}

# Whether nginx runs, started by systemd or by hand; returns 2 if systemd does not answer.
runs_nginx() {
    is_active nginx
    state_of_nginx=$?
    [ $state_of_nginx = 1 ] || return $state_of_nginx
    find_nginx_by_hand
}

# Reloads nginx and waits for a new worker, which proves that it accepted the new files. The
# configuration has been tested, so the signal is all that 'nginx -s reload' would do.
reload_nginx() {
    clear_sockets
    signal_nginx && return 0
    # Sockets opened by a failed reload would keep nginx from starting again.
    clear_sockets
    return 1
}

# shellcheck source=clear-sockets.sh source-path=SCRIPTDIR
clear_sockets() { (. ./clear-sockets.sh); }

signal_nginx() {
    # nginx can be running even if systemd does not know it.
    known=$(systemctl show -p MainPID -p NeedDaemonReload nginx)
    case "$known" in
    *MainPID=*NeedDaemonReload=yes*) systemctl daemon-reload || return 1 ;;
    *MainPID=*) ;;
    *) return 1 ;;
    esac
    master=${known#*MainPID=}
    master=${master%%[!0-9]*}
    mark_errors
    by_hand=no
    if [ "${master:-0}" = 0 ] && find_nginx_by_hand; then by_hand=yes; fi
    if [ "${master:-0}" = 0 ]; then
        systemctl enable -q nginx 2>/dev/null
        mark_journal
        systemctl start nginx 2>systemctl.log && return 0
        journal nginx
        return 1
    fi
    find_workers
    old_workers=" $workers"
    if [ "$plan_restart_nginx" = yes ] && [ $by_hand = no ]; then
        mark_journal
        systemctl restart nginx 2>systemctl.log && return 0
        journal nginx
        return 1
    fi
    kill -HUP "$master" || return 1
    reloaded=no tries=0
    # nginx starts new workers, and tells the old ones to stop 0.1 seconds later.
    sleep 0.1
    wait_until 30 0.02 has_answered_reload
    [ $reloaded = no ] || return 0
    nginx_errors
    return 1
}

# Whether nginx has reloaded, which sets $reloaded, or has rejected the new files.
has_answered_reload() {
    # First, because it starts no process.
    if are_old_workers_leaving; then
        find_workers
        for worker in $workers; do
            case "$old_workers" in *" $worker "*) ;; *) reloaded=yes && return 0 ;; esac
        done
    fi
    tries=$((tries + 1))
    [ $((tries % 25)) = 0 ] && has_refused
}

# Whether nginx has rejected the new files. It retries an address in use, so ignore that.
has_refused() { nginx_errors | grep '\[emerg\]' | grep -qv ' bind() to '; }

# read_title PID: sets $title to a process's title; empty if it has ended.
read_title() {
    title=
    { read -r title || :; } 2>/dev/null <"/proc/$1/cmdline"
}

# Whether all workers from before the reload have ended or no longer accept requests.
are_old_workers_leaving() {
    for former in $old_workers; do
        read_title "$former"
        case "$title" in
        'nginx: worker process is shutting down'*) ;;
        'nginx: worker'*) return 1 ;;
        esac
    done
}

# Whether workers from before the last reload are left, even without connections to a slot.
are_old_workers_left() {
    for former in $old_workers; do
        read_title "$former"
        case "$title" in 'nginx: worker'*) return 0 ;; esac
    done
    return 1
}

# Prints the pipelined requests for one address: for this run's check file, for the registry, as a user
# if a login is known, and without a login.
write_request() {
    if [ "$plan_has_check" = yes ]; then
        printf 'GET /_moorage_check/%s HTTP/1.1\r\nHost: %s\r\n' "$token" "$plan_domain"
        if [ "$port" != "$first_port" ]; then
            printf 'Connection: close\r\n\r\n'
            return
        fi
        printf '\r\n'
        printf 'GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n' "$plan_domain"
    fi
    if [ -e login ]; then
        read -r encoded <login || :
        printf 'GET /v2/ HTTP/1.1\r\nHost: %s\r\nUser-Agent: moorage-check\r\nAuthorization: Basic %s\r\n\r\n' \
            "$plan_domain" "$encoded"
    fi
    printf 'GET /v2/ HTTP/1.1\r\nHost: %s\r\nUser-Agent: moorage-check\r\nConnection: close\r\n\r\n' "$plan_domain"
}

# Relays between openssl and nginx, prefixed with a PROXY protocol header.
# shellcheck disable=SC2016 # perl's own
relay='use IO::Socket::UNIX; use IO::Socket::IP; use IO::Select; my ($path, $address, $port) = @ARGV;
alarm 20; my $here = IO::Socket::UNIX->new(Local => $path, Listen => 1) or exit 1;
my $client = $here->accept or exit 1;
my $server = IO::Socket::IP->new(PeerHost => $address, PeerPort => $port) or exit 1;
syswrite $server, "PROXY UNKNOWN\r\n"; my $both = IO::Select->new($client, $server);
while (my @ready = $both->can_read) { for my $from (@ready) {
sysread($from, my $data, 16384) or exit 0; syswrite $from == $client ? $server : $client, $data; } }'

# send_request ADDRESS PORT [TLS [PROXIED]]: sends the file "request", and writes the responses to
# "answer". Not every Debian has curl.
send_request() {
    true >answer
    if [ "${3:-no}" = yes ]; then
        if [ "$4" = yes ]; then
            rm -f relay.sock
            timeout 20 perl -e "$relay" relay.sock "$1" "$2" &
            wait_until 2 0.02 test -S relay.sock
            set -- -unix relay.sock
        else
            case "$1" in *:*) set -- -connect "[$1]:$2" ;; *) set -- -connect "$1:$2" ;; esac
        fi
        # The certificate's validity is checked elsewhere.
        timeout 10 openssl s_client -quiet -no-CAfile -no-CApath "$@" -servername "$plan_domain" \
            <request 2>/dev/null >answer
    else
        # shellcheck disable=SC2016 # bash expands these
        timeout 10 bash -c 'exec 3<>"/dev/tcp/$1/$2" && { [ "$3" = no ] || printf "PROXY UNKNOWN\r\n" >&3; } &&
            { IFS= read -r -d "" request <request; printf %s "$request" >&3; } && exec head -c 1000000 <&3 >answer' \
            bash "$1" "$2" "${4:-no}" 2>/dev/null
    fi
}

# check_address: checks nginx at one address; returns 1 and sets $fault if a response is wrong.
check_address() {
    # Do not send an incomplete request, which would only time out.
    write_request >request || cannot_write "$run/request"
    send_request "$address" "$port" "$tls" "$proxied"
    fault=
    has_token=no
    set --
    while read -r word number; do
        case "$word" in "$token") has_token=yes ;; HTTP/*) set -- "$@" "$number" ;; esac
    done <<END
$(grep -aoe 'HTTP/1\.1 [0-9][0-9][0-9]' -e "$token" answer)
END
    set -- "$@" - - - -
    if [ "$plan_has_check" = yes ]; then
        case "$1" in
        200) [ $has_token = yes ] || fault="is another site's" ;;
        -) fault="does not answer" ;;
        *) fault="is another site's (status $1)" ;;
        esac
        shift
        if [ -n "$fault" ]; then return 1; fi
        [ "$port" = "$first_port" ] || return 0
        if [ "$1" != 200 ] && [ "$1" != "$down" ]; then fault="cannot reach the registry (status $1)"; fi
        shift
    fi
    if [ -e login ]; then
        if [ -z "$fault" ] && [ "$1" != 200 ] && [ "$1" != "$down" ]; then
            IFS= read -r name <login-name || :
            fault="does not let $name in (status $1)"
        fi
        shift
    fi
    if [ -z "$fault" ] && [ "$1" != 401 ]; then fault="answers $1 where 401 (log in first) is expected"; fi
    [ -z "$fault" ]
}

# Sets $token to a random one: the run's ID is the same on all servers.
make_token() {
    read -r token </proc/sys/kernel/random/uuid
    token=moorage-$token
}

# Checks nginx at every address it listens on for the registry.
check_nginx() {
    make_token
    checks=$state/check
    # A killed run can have left it, with another mode.
    if [ -d "$checks" ]; then chmod 711 "$checks"; else (umask 066 && mkdir -p "$checks"); fi
    (umask 022 && printf '%s\n' "$token" >"$checks/$token") || cannot_write "$checks/$token"
    first_port=
    fault=
    # Users can be changed, and above all revoked, while the registry itself is down.
    down=-
    if [ "$plan_slot_to" = "$plan_slot_from" ] && ! systemctl is-active -q "moorage-registry@$plan_slot_to"; then
        down=503
        printf '@warning\tthe registry itself is not running\n'
    fi
    while IFS="$tab" read -r address port tls proxied; do
        [ -n "$first_port" ] || first_port=$port
        wait_until "$plan_check_seconds" 0.25 check_address </dev/null
        [ -z "$fault" ] || break
    done <plan/listens
    rm -rf "$checks" request answer
    [ -z "$fault" ] && return 0
    nginx_errors >nginx-errors.log
    cat nginx-errors.log
    reason=$(why_nginx <nginx-errors.log)
    fail not_served "$plan_domain" "$address" "$port" "$fault" "$reason"
}
