# Tests and reloads nginx, and looks at what it answers; read by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

# Workers from before the last reload: they may send what they have accepted to the slot they knew.
old_workers=

test_nginx() {
    nginx -t >nginx.log 2>&1 && return 0
    cat nginx.log
    fail "nginx refuses the configuration: $(why_nginx nginx.log)"
}

# Sets $workers to the numbers of nginx's children. (The kernel's own lists of children may lack some.)
find_workers() {
    workers=
    # shellcheck disable=SC2013 # one word a line
    for worker in $(grep -lsx "PPid:$tab$master" /proc/[0-9]*/status); do
        worker=${worker#/proc/}
        workers="$workers${worker%/status} "
    done
}

# A module's installation makes Debian replace the running nginx by itself; a reload in the middle
# of that is lost.
settle_nginx() {
    tries=0
    while [ -e "$(systemctl show -p PIDFile --value nginx).oldbin" ] && [ $tries -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
}

# Reloads nginx and waits until it has really taken the new files: a worker that was not there before.
# The signal is what nginx's own way of reloading comes to, once the configuration has been tested.
reload_nginx() {
    sh clear-sockets.sh
    signal_nginx && return 0
    # What nginx opened on the way to a failure would be in the way of the next start.
    sh clear-sockets.sh
    return 1
}

signal_nginx() {
    known=$(systemctl show -p MainPID -p NeedDaemonReload nginx)
    case "$known" in *NeedDaemonReload=yes*) systemctl daemon-reload || return 1 ;; esac
    master=${known#*MainPID=}
    master=${master%%[!0-9]*}
    mark_errors
    if [ "${master:-0}" = 0 ]; then
        systemctl enable -q nginx 2>/dev/null
        mark_journal
        systemctl start nginx 2>systemctl.log && return 0
        journal nginx
        return 1
    fi
    find_workers
    old_workers=" $workers"
    kill -HUP "$master" || return 1
    tries=0
    while [ $tries -lt 1000 ]; do
        sleep 0.01
        find_workers
        for worker in $workers; do
            case "$old_workers" in *" $worker "*) ;; *) are_old_workers_leaving && return 0 ;; esac
        done
        tries=$((tries + 1))
        if [ $((tries % 50)) = 0 ] && has_refused; then break; fi
    done
    nginx_errors
    return 1
}

# Whether nginx has said that it does not take the new files. An address in use it tries a few times.
has_refused() { nginx_errors | grep '\[emerg\]' | grep -qv ' bind() to '; }

# Sets $title to what a process calls itself; to nothing when it has ended.
read_title() {
    title=
    { read -r title || :; } 2>/dev/null <"/proc/$1/cmdline"
}

# Whether every worker from before the reload has ended or takes no new request any more.
are_old_workers_leaving() {
    for former in $old_workers; do
        read_title "$former"
        case "$title" in
        'nginx: worker process is shutting down'*) ;;
        'nginx: worker'*) return 1 ;;
        esac
    done
}

# Whether nginx still has workers from before the last reload, even if nothing is connected to a slot.
are_old_workers_left() {
    for former in $old_workers; do
        read_title "$former"
        case "$title" in 'nginx: worker'*) return 0 ;; esac
    done
    return 1
}

# Sets $status to what nginx answers an anonymous request with, over TLS where there is TLS.
ask_public() {
    printf 'GET /v2/ HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$plan_domain" >request
    : >answer
    if [ "$plan_tls" = yes ]; then
        # Whether the certificate is to be trusted is not the question here.
        timeout 10 openssl s_client -quiet -no-CAfile -no-CApath -connect "127.0.0.1:$plan_port" \
            -servername "$plan_domain" <request 2>/dev/null >answer
    else
        # shellcheck disable=SC2016 # bash expands these
        timeout 10 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && cat request >&3 && cat <&3 >answer' \
            bash "$plan_port" 2>/dev/null
    fi
    status=
    read -r _ status _ <answer
}

check_public() {
    tries=0
    while [ $tries -lt 40 ]; do
        ask_public
        [ "$status" = 401 ] && return 0
        sleep 0.25
        tries=$((tries + 1))
    done
    nginx_errors >said.log
    cat said.log
    reason=$(why_nginx said.log)
    fail "nginx answers ${status:-nothing} on port $plan_port where 401 (log in first) is expected${reason:+: $reason}"
}
