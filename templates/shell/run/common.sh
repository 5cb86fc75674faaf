# Output, steps and the end of a run; sourced by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

tab=$(printf '\t')
newline='
'
rollback_needed=no
can_cancel=yes
outcome=failed

# take_locks: takes the run's lock and the server's; ends the run if another one has that.
take_locks() {
    tick
    booted=$(($(date +%s) - now))
    exec 8>lock 9>"$state/lock"
    # Only those who look whether it lives hold it, for a moment.
    flock 8
    flock -n 9 || finish locked run_locked "$(cat "$state/current" 2>/dev/null)"
}

# note_current: notes that this is the server's current run.
note_current() {
    { printf '%s\n' "${run##*/}" >"$state/current.new" && mv -f "$state/current.new" "$state/current"; } ||
        finish failed cannot_write "$state/current"
}

# read_settings: sets plan_NAME for each setting of the plan. Values are never evaluated.
read_settings() {
    while IFS="$tab" read -r name value; do
        case "$name" in '' | *[!a-z0-9_]*) finish failed run_not_started "invalid setting in the plan" ;; esac
        eval "plan_$name=\$value"
    done <plan/settings
}

say() { printf '%s\n' "$*"; }

# cannot_write PATH: fails, and reports a full disk.
cannot_write() {
    find_full_disk "${1%/*}"
    fail cannot_write "$1" "$full_disk"
}

# Sets $now to the uptime in seconds: needs no process, and does not change when the clock is set.
tick() {
    read -r now _ </proc/uptime
    now=${now%%.*}
}

# is_active UNIT: whether a service is active; returns 2 if systemd does not answer.
is_active() {
    systemctl is-active -q "$1"
    case $? in
    0) return 0 ;;
    3 | 4) return 1 ;;
    *) return 2 ;;
    esac
}

step() {
    # Append: the last line counts, and a full disk does not lose the earlier ones.
    printf '%s\n' "$1" >>step || [ "$1" = drain ] || cannot_write "$run/step"
    tick
    printf '@step\t%s\t%s\n' $((booted + now)) "$1"
    check_interrupted
}

# Ends the run if it was cancelled, or if watch_programs has killed a program.
check_interrupted() {
    [ "$can_cancel" = yes ] || return 0
    if [ -e abort ]; then cancel; fi
    if [ -e overdue ]; then
        read_overdue
        fail timed_out "$late_program" "$late_seconds"
    fi
}

# wait_until SECONDS PAUSE COMMAND...: polls until the command succeeds; returns 1 if it takes longer.
# The arguments are local to each call, so that the command can wait for something, too.
wait_until() {
    tick
    set -- $((now + $1)) "$@"
    until poll "$@"; do
        check_interrupted
        tick
        [ "$now" -lt "$1" ] || return 1
        sleep "$3"
    done
}

poll() {
    shift 3
    "$@"
}

# Sets $late_program and $late_seconds if watch_programs has killed a program.
read_overdue() {
    late_program='' late_seconds=''
    { IFS="$tab" read -r late_program late_seconds; } 2>/dev/null <overdue
}

# join_values VALUE...: sets $values to one line with tabs between the values.
join_values() {
    values=
    for value; do
        case "$value" in *"$tab"* | *"$newline"*) value=$(printf '%s' "$value" | tr '\n\t' '  ') ;; esac
        values=$values$tab$value
    done
    values=${values#"$tab"}
}

# finish STATUS CODE VALUE...: ends the run and removes its secrets. For the codes, see
# moorage/servers/run_results.py.
finish() {
    ignore_signals
    rm -rf content hooks backup image.tar image-login hook.out login request answer
    status=$1 code=$2
    shift 2
    join_values "$@"
    # The result "done" was written before the switch (stage_files).
    if { [ "$status" = "done" ] || { printf '%s\n%s\n%s\n' "$status" "$code" "$values" >result.new && sync result.new; }; } &&
        mv result.new result; then
        printf '@result\t%s\t%s\t%s\n' "$status" "$code" "$values"
    else
        printf '@result\tfailed\tcannot_write\t%s/result\t%s\t%s\n' "$run" "${code:-$status}" "$values"
    fi
    exit 0
}

# fail CODE VALUE...: rolls back and ends the run; codes as for finish.
fail() {
    # On a full disk, a program's output may be lost, so mention the disk, too.
    find_full_disk "$run"
    case "$*" in *"$full_disk"*) ;; *) set -- "$@" "$full_disk" ;; esac
    read_overdue
    if [ -n "$late_program" ] && [ "$1" != timed_out ]; then
        set -- "$@" "$late_program did not end within $late_seconds seconds"
    fi
    # A failure of its own stays one, unless its program was killed because the run was to stop.
    if [ -e abort ] && { [ "$1" = run_cancelled ] || [ -e overdue ]; }; then outcome=cancelled; fi
    # For the log: why, before the lines of the rollback.
    join_values "$@"
    printf '@failing\t%s\t%s\n' "$outcome" "$values"
    if [ "$rollback_needed" = yes ]; then
        rollback
        remove_staged
    fi
    finish "$outcome" "$@"
}

cancel() { fail run_cancelled; }

# From here on, neither a signal nor a cancellation ends the run, or a program that it starts.
ignore_signals() {
    can_cancel=no
    trap '' TERM INT HUP PIPE
}

wait_for_go() {
    [ "$plan_gate" = wait ] || return 0
    # While no server has switched: the switch and the check after it need some space. (The files to
    # place are already written.)
    find_full_disk "$run" "$state" /etc/moorage /etc/nginx /etc/systemd/system
    [ -z "$full_disk" ] || fail disk_full "$full_disk"
    printf '@staged\n' || cannot_write "$run/log"
    # Usually it comes at once. Each look costs a process.
    if wait_until 1 0.01 is_told_to_go || wait_until 4 0.05 is_told_to_go; then return 0; fi
    say "waiting for the other servers; without the go-ahead from Moorage, this one rolls back at $(date -u -d "@$((booted + now + plan_gate_seconds))" +%H:%M) UTC"
    wait_until "$plan_gate_seconds" 0.1 is_told_to_go || fail no_go_ahead
}

# Whether Moorage has given the go-ahead. Once it is gone, nobody else can give it (see follow.sh).
is_told_to_go() {
    if [ -e gone ]; then [ -e go ] || fail no_go_ahead; fi
    [ -e go ]
}

# After the switch: waits for the other servers' results. Without an answer the change is kept, because
# then the others most likely have it, too.
wait_for_keep() {
    [ "$plan_keep" = wait ] || return 0
    printf '@committed\n' || cannot_write "$run/log"
    # A change that failed elsewhere is announced by "abort" and "undo": here, "undo" counts.
    can_cancel=no
    wait_until 1 0.01 is_kept || wait_until "$plan_keep_seconds" 0.05 is_kept ||
        say 'timed out waiting for the other servers; keeping the change'
    can_cancel=yes
}

is_kept() {
    if [ -e keep ]; then return 0; fi
    if [ -e undo ]; then undo; fi
    return 1
}
