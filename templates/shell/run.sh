# One run of Moorage on this server. Kept in /var/lib/moorage/runs/ID with its log and result.
#
# Started detached from the SSH session, as root, with the run's folder as its only argument; what to
# do is data in that folder (plan/, content/, hooks/). Steps: recheck, back up, install, place, try
# out; then, once the operator's side has said go, switch, check, record, drain. Whatever fails is
# rolled back. The operator's scripts run after the recheck and after the check.
# A change of the users is a run, too: it has nothing to install, and after the switch it waits to hear
# whether it worked on the other servers.
# Lines that begin with "@" are read by Moorage, the others are for people.
# shellcheck shell=sh
set -u
umask 077
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

run=$1
cd "$run" || exit 1
state=/var/lib/moorage
tab=$(printf '\t')
rollback_needed=no
outcome=failed
old_workers=

# shellcheck source-path=SCRIPTDIR source=certificate.sh
. ./certificate.sh

setting() { sed -n "s/^$1$tab//p" plan/settings | head -n 1; }

say() { printf '%s\n' "$*"; }

step() {
    printf '%s\n' "$1" >step.new && mv step.new step
    printf '@step\t%s\t%s\n' "$(date +%s)" "$1"
    # Once everything is recorded there is nothing left to cancel: only the old slot has to end.
    if [ "$1" != drain ] && [ -e abort ]; then cancel; fi
}

# finish STATUS MESSAGE: the last thing a run does; what is secret does not outlive it.
finish() {
    rm -rf content hooks backup image.tar hook.out
    message=$(printf '%s' "$2" | tr '\n\t' '  ')
    printf '%s\n%s\n' "$1" "$message" >result.new && mv result.new result
    printf '@result\t%s\t%s\n' "$1" "$message"
    exit 0
}

fail() {
    failed=$(cat step 2>/dev/null)
    say "failed while doing: $failed"
    say "$1"
    if [ "$rollback_needed" = yes ]; then rollback; fi
    finish "$outcome" "$1"
}

cancel() {
    outcome=cancelled
    fail "it was cancelled"
}

# place NUMBER MODE OWNER GROUP PATH FROM: puts a file in its place in one step.
place() {
    rm -f "$(dirname "$5")"/.moorage.*
    new=$(dirname "$5")/.moorage.$1
    cp -- "$6" "$new" && chown "$3:$4" "$new" && chmod "$2" "$new" && mv -fT -- "$new" "$5"
}

# digest PATH: what it holds; of a link, where it points.
digest() {
    if [ -L "$1" ]; then
        printf '%s' "$(readlink -- "$1")" | sha256sum | cut -d ' ' -f 1
    elif [ -f "$1" ]; then
        sha256sum <"$1" | cut -d ' ' -f 1
    else
        echo -
    fi
}

# http_status PORT PATH: the status that something on this machine answers with, or nothing.
http_status() {
    # shellcheck disable=SC2016 # bash expands these
    timeout 20 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && printf "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n" "$2" >&3 && IFS=" " read -r _ status _ <&3 && printf "%s" "$status"' \
        bash "$1" "$2" 2>/dev/null
}

# The status nginx answers an anonymous request with, over TLS where there is TLS.
public_status() {
    printf 'GET /v2/ HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$domain" >request
    if [ "$tls" = yes ]; then
        timeout 10 openssl s_client -quiet -connect "127.0.0.1:$port" -servername "$domain" \
            <request 2>/dev/null >answer
    else
        # shellcheck disable=SC2016 # bash expands these
        timeout 10 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && cat request >&3 && cat <&3 >answer' bash "$port" 2>/dev/null
    fi
    sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p' answer
}

last_lines() { journalctl -u "$1" -n 15 --no-pager -o cat 2>/dev/null; }

# The numbers of nginx's children. (The kernel's own lists of children may lack some of them.)
nginx_workers() {
    master=$(cat "$(systemctl show -p PIDFile --value nginx)" 2>/dev/null)
    grep -lsx "PPid:$tab$master" /proc/[0-9]*/status | sed 's|^/proc/||; s|/status$||' | tr '\n' ' '
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
reload_nginx() {
    if ! systemctl is-active -q nginx; then
        systemctl enable -q nginx 2>/dev/null
        systemctl start nginx && return 0
        last_lines nginx
        return 1
    fi
    before=" $(nginx_workers) "
    old_workers=$before
    systemctl reload nginx || return 1
    tries=0
    while [ $tries -lt 500 ]; do
        for worker in $(nginx_workers); do
            case "$before" in *" $worker "*) ;; *) old_workers_are_leaving && return 0 ;; esac
        done
        sleep 0.02
        tries=$((tries + 1))
    done
    tail -n 5 /var/log/nginx/error.log 2>/dev/null
    return 1
}

# Whether every worker from before the reload has ended or takes no new request any more.
old_workers_are_leaving() {
    for worker in $old_workers; do
        grep -q '^nginx: worker process is shutting down' "/proc/$worker/cmdline" 2>/dev/null ||
            ! grep -q '^nginx: worker' "/proc/$worker/cmdline" 2>/dev/null || return 1
    done
}

rollback() {
    printf '@step\t%s\t%s\n' "$(date +%s)" rollback
    say 'rolling back'
    rm -rf rollback-failed
    while IFS="$tab" read -r number mode owner group _ path; do
        if [ -e "backup/$number" ] || [ -L "backup/$number" ]; then
            new=$(dirname "$path")/.moorage.$number
            cp -a -- "backup/$number" "$new" && mv -fT -- "$new" "$path" || : >rollback-failed
        elif [ -e "backup/$number.absent" ]; then
            rm -f -- "$path"
        fi
    done <plan/files
    number=0
    while IFS="$tab" read -r _ path; do
        number=$((number + 1))
        if [ -e "backup/removed.$number" ]; then
            cp -a -- "backup/removed.$number" "$path" || : >rollback-failed
        fi
    done <plan/removals
    restore_certificate
    systemctl daemon-reload
    if [ "$slot_from" != - ]; then
        systemctl enable -q "moorage-registry@$slot_from"
        systemctl is-active -q "moorage-registry@$slot_from" || systemctl start "moorage-registry@$slot_from"
    fi
    if systemctl is-active -q nginx; then
        if nginx -t -q 2>/dev/null; then
            reload_nginx || : >rollback-failed
        else
            say 'nginx goes on with the configuration it has in memory: its files are broken elsewhere'
        fi
    fi
    # Only now is nobody sent to the new slot any more.
    if [ "$slot_to" != "$slot_from" ]; then
        drain "$slot_to" 10
        systemctl disable -q --now "moorage-registry@$slot_to" 2>/dev/null
        systemctl reset-failed "moorage-registry@$slot_to" 2>/dev/null
    fi
    if [ -e rollback-failed ]; then
        say 'the rollback is incomplete; the next apply puts it right'
    else
        say 'rolled back: everything is as it was before'
    fi
}

recheck() {
    while IFS="$tab" read -r _ _ _ _ old path; do
        if [ "$(digest "$path")" != "$old" ]; then
            fail "$path was changed by somebody else since the plan was made; plan again"
        fi
    done <plan/files
    while IFS="$tab" read -r old path; do
        if [ "$(digest "$path")" != "$old" ]; then
            fail "$path was changed by somebody else since the plan was made; plan again"
        fi
    done <plan/removals
}

back_up() {
    mkdir -p backup
    while IFS="$tab" read -r number _ _ _ _ path; do
        if [ -e "$path" ] || [ -L "$path" ]; then
            cp -a -- "$path" "backup/$number" || fail "$path could not be backed up"
        else
            : >"backup/$number.absent" || fail "the backup could not be written"
        fi
    done <plan/files
    number=0
    while IFS="$tab" read -r _ path; do
        number=$((number + 1))
        cp -a -- "$path" "backup/removed.$number" || fail "$path could not be backed up"
    done <plan/removals
    back_up_certificate
}

# run_hooks STEP MOMENT: runs the operator's scripts of a moment, in their order.
run_hooks() {
    grep -q "^[0-9]*$tab$2$tab" plan/hooks || return 0
    step "$1"
    while IFS="$tab" read -r number moment seconds on_failure name; do
        [ "$moment" = "$2" ] || continue
        say "hook $name, $moment"
        run_hook
        [ -n "$hook_failure" ] || continue
        if [ "$on_failure" = roll_back ]; then fail "$hook_failure"; fi
        printf '@warning\t%s\n' "$hook_failure"
    done <plan/hooks
}

# Runs one hook: $number, $seconds, $name, $moment. Afterwards $hook_failure says what went wrong.
run_hook() {
    hook_failure=
    began=$(date +%s)
    : >hook.out
    # The hook gets no lock of this run, and writes to a file: what it leaves running in the
    # background neither keeps this run waiting nor the next one out. systemd ends it with the run.
    (
        umask 022
        exec timeout -k 5 "$seconds" env -i PATH="$PATH" LC_ALL="$LC_ALL" HOME=/root \
            MOORAGE_EVENT="$moment" MOORAGE_DOMAIN="$domain" MOORAGE_SERVER="$server" \
            MOORAGE_RUN="${run##*/}" "$run/hooks/$number" </dev/null >>hook.out 2>&1 8>&- 9>&-
    ) &
    hook=$!
    tail -n +1 -s 0.05 -f --pid="$hook" hook.out 8>&- 9>&- | show_hook_output &
    reader=$!
    # A poll rather than a wait, so that a signal or a cancellation is heard at once.
    while kill -0 "$hook" 2>/dev/null; do
        if [ -e abort ]; then
            kill "$hook" 2>/dev/null
            wait "$hook"
            cancel
        fi
        sleep 0.02
    done
    wait "$hook"
    status=$?
    wait "$reader"
    # timeout ends with these when it had to end the hook; the hook itself may end with them, too.
    case "$status" in
    0) ;;
    124 | 137)
        if [ $(($(date +%s) - began)) -ge "$seconds" ]; then
            hook_failure="the hook $name took longer than $seconds s"
        else
            hook_failure="the hook $name failed with status $status"
        fi
        ;;
    *) hook_failure="the hook $name failed with status $status" ;;
    esac
}

# Passes a hook's lines on to the log, marked, so that none can pass for one of the run's own words.
show_hook_output() {
    lines=0
    while IFS= read -r line || [ -n "$line" ]; do
        lines=$((lines + 1))
        if [ $lines -gt 2000 ]; then
            say "[$name] more than 2000 lines: the rest is left out"
            return 0
        fi
        # Cut in the middle, a secret would not be known as one any more.
        if [ ${#line} -gt 8000 ]; then line="a line of ${#line} characters is left out"; fi
        say "[$name] $line"
    done
}

install_packages() {
    [ -s plan/packages ] || return 0
    if [ "$(setting mask_packaged_registry)" = yes ]; then
        systemctl mask -q docker-registry.service 2>/dev/null # says that it is not there yet
    fi
    # apt reports unreachable mirrors as warnings and goes on with what it has, so its first
    # complaint is kept for the message.
    if ! apt update; then fail "the package lists could not be fetched: $(complaint)"; fi
    problem=$(complaint)
    # shellcheck disable=SC2046 # one word a package
    if ! apt -y --no-install-recommends install $(cat plan/packages); then
        fail "the packages could not be installed: ${problem:-$(complaint)}"
    fi
    settle_nginx
    if grep -qx nginx plan/packages; then
        # Nobody uses it yet, and a start from scratch leaves no half-done replacement behind.
        systemctl restart nginx || last_lines nginx
    fi
}

# apt ARGUMENT...: runs apt-get, its output in the log as it comes and in apt.log. What systemd says
# about the packaged registry's unit, which is masked on purpose, looks like errors and is none.
apt() {
    {
        umask 022
        apt-get -q -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold -o Acquire::Retries=2 \
            -o Acquire::http::Timeout=20 -o DPkg::Lock::Timeout=180 "$@" </dev/null
        echo $? >apt.status
    } 2>&1 | grep --line-buffered -v 'docker-registry\.service' | tee apt.log
    [ "$(cat apt.status)" = 0 ]
}

complaint() {
    grep -m 1 '^E:\|^W:.*\(Failed to fetch\|Could not\|Temporary failure\|Unable\)' apt.log | cut -c 1-300
}

make_account() {
    id -u "$account" >/dev/null 2>&1 && return 0
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$account" ||
        fail "the account $account could not be made"
}

load_image() {
    [ "$(setting load_image)" = yes ] || return 0
    systemctl is-active -q "$engine" 2>/dev/null || systemctl start "$engine" 2>/dev/null
    if [ -e image.tar ]; then
        "$engine" load -q -i image.tar || fail "the image archive could not be loaded"
        "$engine" image inspect "$image" >/dev/null 2>&1 ||
            fail "the image archive does not hold $image; registry.image must name what is in it"
    else
        answer=$("$engine" pull -q "$image" 2>&1) ||
            fail "the image $image could not be pulled ($(printf '%s' "$answer" | tail -n 1 | cut -c 1-200)); a server with no way out takes registry.image_archive"
    fi
}

check_version() {
    [ "$(setting checks_version)" = yes ] || return 0
    wanted=$(setting version)
    if [ "$engine" = - ]; then
        answer=$(docker-registry --version 2>&1)
    else
        answer=$("$engine" run --rm --network none --cap-drop ALL "$image" --version 2>&1)
    fi
    found=$(printf '%s\n' "$answer" | sed -n 's/.*[ v]\([0-9][0-9]*\.[0-9][0-9.]*\).*/\1/p' | head -n 1)
    say "the registry is version ${found:-unknown}, its configuration is written for $wanted"
    case "$found" in
    "$wanted" | "$wanted".*) printf '%s\n' "$found" >registry-version ;;
    '') fail "the registry did not tell its version: $(printf '%s' "$answer" | tail -n 1 | cut -c 1-200)" ;;
    *) fail "the registry is version $found, but its configuration is written for $wanted; set registry.version" ;;
    esac
}

make_folders() {
    while IFS="$tab" read -r mode owner group path; do
        if [ "$path" = "$(setting storage_folder)" ]; then adopt_storage "$owner" "$path"; fi
        # The run's umask is strict; folders on the way to this one are for everybody.
        (umask 022 && mkdir -p -- "$(dirname "$path")") || fail "the folder above $path could not be made"
        install -d -m "$mode" -o "$owner" -g "$group" -- "$path" || fail "the folder $path could not be made"
    done <plan/folders
}

# adopt_storage OWNER PATH: images that are there already may belong to whoever ran the registry
# before; a folder that holds anything else is left alone.
adopt_storage() {
    [ ! -L "$2" ] || fail "$2 is a link; storage.filesystem.path needs a folder"
    if [ ! -d "$2" ] || [ "$(stat -c %U "$2")" = "$1" ]; then return 0; fi
    # shellcheck disable=SC2012 # only whether there is anything but the registry's own folder
    case "$(ls -A "$2" | head -n 2)" in
    '') ;;
    docker) chown -hR "$1:$1" -- "$2/docker" || fail "$2 could not be given to $1" ;;
    *) fail "$2 holds other files; storage.filesystem.path needs a folder of its own" ;;
    esac
}

# nginx reads password files at every request: they are placed when everything else is switched.
passwords='/etc/nginx/moorage/htpasswd*'

# place_files PATTERN [EXCEPT]: the files whose path matches, in the plan's order.
place_files() {
    while IFS="$tab" read -r number mode owner group _ path; do
        # shellcheck disable=SC2254 # patterns are wanted
        case "$path" in ${2:-}) continue ;; $1) ;; *) continue ;; esac
        place "$number" "$mode" "$owner" "$group" "$path" "content/$number" ||
            fail "$path could not be written"
    done <plan/files
}

start_slot() {
    # A changed unit always takes the other slot.
    [ "$slot_to" != "$slot_from" ] || return 0
    systemctl daemon-reload
    unit=moorage-registry@$slot_to
    systemctl reset-failed "$unit" 2>/dev/null
    systemctl enable -q "$unit" || fail "$unit could not be enabled"
    systemctl restart "$unit" || {
        last_lines "$unit"
        fail "$unit did not start: $(last_lines "$unit" | tail -n 1 | cut -c 1-300)"
    }
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

test_nginx() {
    nginx -t >nginx.log 2>&1 && return 0
    cat nginx.log
    fail "nginx refuses the configuration: $(grep -m 1 'emerg' nginx.log | sed 's/^.*\[emerg\] [0-9#: ]*//' | cut -c 1-300)"
}

wait_for_go() {
    [ "$(setting gate)" = wait ] || return 0
    printf '@staged\n'
    deadline=$(($(date +%s) + $(setting gate_seconds)))
    while [ ! -e go ]; do
        if [ -e abort ]; then cancel; fi
        if [ "$(date +%s)" -ge "$deadline" ]; then fail "nobody said go: the connection was lost before the switch"; fi
        sleep 0.02
    done
}

# After the switch: waits to hear whether the other servers managed it, too. Without a word the change
# stays, because then it is likely on them as well.
wait_for_keep() {
    [ "$(setting keep)" = wait ] || return 0
    printf '@committed\n'
    deadline=$(($(date +%s) + $(setting keep_seconds)))
    while [ ! -e keep ]; do
        if [ -e undo ]; then undo; fi
        if [ "$(date +%s)" -ge "$deadline" ]; then
            say 'nobody said whether to keep the change: it stays'
            return 0
        fi
        sleep 0.02
    done
}

undo() {
    say 'another server did not manage it: undoing the change'
    rollback
    mv plan/undone.json plan/deployment.json
    record
    finish undone 'another server did not manage it'
}

check_public() {
    tries=0
    while [ $tries -lt 40 ]; do
        status=$(public_status)
        [ "$status" = 401 ] && return 0
        sleep 0.25
        tries=$((tries + 1))
    done
    tail -n 5 /var/log/nginx/error.log 2>/dev/null
    fail "nginx answers ${status:-nothing} on port $port where 401 (log in first) is expected"
}

# old_workers_left: whether nginx still has workers from before the last reload. They may send what
# they have accepted to the slot they knew, even when nothing is connected to it right now.
old_workers_left() {
    for worker in $old_workers; do
        grep -q '^nginx: worker' "/proc/$worker/cmdline" 2>/dev/null && return 0
    done
    return 1
}

# drain SLOT SECONDS: waits until nobody uses a slot any more, so long at the most.
drain() {
    patience=$(($(date +%s) + 30))
    deadline=$(($(date +%s) + $2))
    while :; do
        connected=$(ss -Htn state established "( sport = :$(setting "port_$1") )" 2>/dev/null)
        if [ -z "$connected" ]; then
            old_workers_left || return 0
            # They stay for the long connections of other sites, too.
            [ "$(date +%s)" -lt "$patience" ] || return 0
        fi
        if [ "$(date +%s)" -ge "$deadline" ]; then
            say "some transfers on slot $1 have not ended; they are cut off and clients try again"
            return 0
        fi
        sleep 0.2
    done
}

drain_old() {
    for old in blue green; do
        [ "$old" != "$slot_to" ] || continue
        unit=moorage-registry@$old
        systemctl is-active -q "$unit" || systemctl is-enabled -q "$unit" 2>/dev/null || continue
        drain "$old" "$(setting drain_seconds)"
        systemctl disable -q --now "$unit"
    done
}

record() {
    sed "s/@REGISTRY_VERSION@/$(cat registry-version 2>/dev/null)/" plan/deployment.json >deployment.json
    place record 600 root root /etc/moorage/deployment.json deployment.json ||
        fail "/etc/moorage/deployment.json could not be written"
}

forget_old_runs() {
    # Names sort by time. Runs that died are told from running ones by their free lock.
    for old in $(find "$state/runs" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort -r); do
        [ "$state/runs/$old" != "$run" ] || continue
        flock -n "$state/runs/$old/lock" true || continue
        [ -e "$state/runs/$old/result" ] ||
            printf 'interrupted\nit ended without a result while doing: %s\n' \
                "$(cat "$state/runs/$old/step" 2>/dev/null)" >"$state/runs/$old/result"
        rm -rf "$state/runs/$old/content" "$state/runs/$old/hooks" "$state/runs/$old/backup" \
            "$state/runs/$old/image.tar" "$state/runs/$old/hook.out"
    done
    find "$state/runs" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort -r | tail -n +11 | while read -r old; do
        rm -rf "${state:?}/runs/$old"
    done
}

exec 8>lock 9>"$state/lock"
flock -n 8
if ! flock -n 9; then
    finish locked "run $(cat "$state/current" 2>/dev/null) is going on"
fi
printf '%s\n' "${run##*/}" >"$state/current"
trap 'fail "it was told to stop"' TERM INT

domain=$(setting domain)
port=$(setting port)
tls=$(setting tls)
server=$(setting server)
account=$(setting account)
engine=$(setting engine)
image=$(setting image)
slot_from=$(setting slot_from)
slot_to=$(setting slot_to)
slot_port=$(setting "port_$slot_to")

step recheck
recheck
forget_old_runs
run_hooks hooks-before before_apply
step back-up
back_up
# Only what there is to do is said: a change of the users installs nothing.
if [ -s plan/packages ]; then step packages; fi
install_packages
id -u "$account" >/dev/null 2>&1 || step account
make_account
if [ "$(setting load_image)" = yes ]; then step image; fi
load_image
if [ "$(setting checks_version)" = yes ]; then step version; fi
check_version
rollback_needed=yes
if [ "$slot_to" != "$slot_from" ]; then step registry; fi
make_folders
place_files '/etc/moorage/*'
place_files '/etc/systemd/*'
start_slot
if [ "$(setting challenge)" != - ]; then
    step certificate
    get_certificate
fi
step nginx-files
place_files '/etc/nginx/*' "$passwords"
while IFS="$tab" read -r _ path; do rm -f -- "$path"; done <plan/removals
test_nginx
step staged
# All of it has to survive a power cut from here on; where only nginx's files changed, only they are new.
if [ "$slot_to" = "$slot_from" ]; then sync /etc/nginx/moorage /etc/nginx/moorage/*; else sync; fi
wait_for_go
step switch
place_files "$passwords"
if [ "$(setting reload_nginx)" = yes ]; then
    reload_nginx || fail "nginx did not take the new configuration: $(tail -n 1 /var/log/nginx/error.log 2>/dev/null | cut -c 1-300)"
fi
step check
check_public
run_hooks hooks-after after_apply
run_hooks hooks-after after_users
wait_for_keep
step record
record
rollback_needed=no
step drain
drain_old
finish "done" ''
