# What a run says, and how it ends; read by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

say() { printf '%s\n' "$*"; }

# cannot_write PATH: fails, and says so when the disk is full.
cannot_write() {
    find_full_disk "${1%/*}"
    fail cannot_write "$1" "$full_disk"
}

# find_full_disk FOLDER: sets $full_disk to what its disk lacks, or to nothing.
find_full_disk() {
    read -r room inodes mount <<END
$(df -k --output=avail,iavail,target -- "$1" 2>/dev/null | tail -n 1)
END
    full_disk=
    if [ "${room:-64}" -lt 64 ]; then full_disk="no space is left on $mount"; fi
    if [ "${inodes:-1}" = 0 ]; then full_disk="no inodes are left on $mount"; fi
}

# Sets $now: seconds since the machine started. It costs no process, and nobody sets this clock.
tick() {
    read -r now _ </proc/uptime
    now=${now%%.*}
}

# is_active UNIT: whether a service runs; 2 when systemd does not say.
is_active() {
    systemctl is-active -q "$1"
    case $? in
    0) return 0 ;;
    3 | 4) return 1 ;;
    *) return 2 ;;
    esac
}

step() {
    # All steps are kept, and the last one counts: nothing is lost when the disk is full.
    printf '%s\n' "$1" >>step || [ "$1" = drain ] || cannot_write "$run/step"
    current_step=$1
    tick
    printf '@step\t%s\t%s\n' $((booted + now)) "$1"
    # Once everything is recorded there is nothing left to cancel: only the old slot has to end.
    if [ "$1" = drain ]; then return 0; fi
    if [ -e abort ]; then cancel; fi
    if [ -e overdue ]; then
        read_overdue
        fail timed_out "$late_program" "$late_seconds"
    fi
}

# Sets $late_program and $late_seconds to what watch_programs ended, and to nothing otherwise.
read_overdue() {
    late_program='' late_seconds=''
    { IFS="$tab" read -r late_program late_seconds; } 2>/dev/null <overdue
}

# finish STATUS CODE VALUE...: the last thing a run does; what is secret does not outlive it. What the
# codes mean stands in moorage/servers/run_results.py.
finish() {
    rm -rf content hooks backup image.tar hook.out login request answer
    status=$1 code=$2
    shift 2
    values=
    for value; do
        case "$value" in *"$tab"* | *"$newline"*) value=$(printf '%s' "$value" | tr '\n\t' '  ') ;; esac
        values=$values$tab$value
    done
    values=${values#"$tab"}
    # That a run is done was written down before the switch (stage_files).
    if { [ "$status" = "done" ] || { printf '%s\n%s\n%s\n' "$status" "$code" "$values" >result.new && sync result.new; }; } &&
        mv result.new result; then
        printf '@result\t%s\t%s\t%s\n' "$status" "$code" "$values"
    else
        printf '@result\tfailed\tcannot_write\t%s/result\t%s\t%s\n' "$run" "${code:-$status}" "$values"
    fi
    exit 0
}

# fail CODE VALUE...: rolls back and ends the run; the codes are as for finish.
fail() {
    # Where what a program says cannot be kept, that it failed is all that is known of it.
    find_full_disk "$run"
    case "$*" in *"$full_disk"*) ;; *) set -- "$@" "$full_disk" ;; esac
    read_overdue
    if [ -n "$late_program" ] && [ "$1" != timed_out ]; then
        set -- "$@" "$late_program did not end within $late_seconds seconds"
    fi
    if [ -e abort ]; then outcome=cancelled; fi
    say "failed while doing: ${current_step:-nothing}"
    say "$*"
    if [ "$rollback_needed" = yes ]; then
        # Neither a failure in there nor a word to stop begins another one.
        rollback_needed=no
        trap '' TERM INT
        rm -f forward
        rollback
        clear_beside
    fi
    finish "$outcome" "$@"
}

cancel() { fail run_cancelled; }

wait_for_go() {
    [ "$plan_gate" = wait ] || return 0
    printf '@staged\n' || cannot_write "$run/log"
    tick
    deadline=$((now + plan_gate_seconds))
    while [ ! -e go ]; do
        if [ -e abort ]; then cancel; fi
        tick
        if [ "$now" -ge $deadline ]; then fail no_go_ahead; fi
        sleep 0.01
    done
}

# After the switch: waits to hear whether the other servers managed it, too. Without a word the change
# stays, because then it is likely on them as well.
wait_for_keep() {
    [ "$plan_keep" = wait ] || return 0
    printf '@committed\n' || cannot_write "$run/log"
    tick
    deadline=$((now + plan_keep_seconds))
    while [ ! -e keep ]; do
        if [ -e undo ]; then undo; fi
        tick
        if [ "$now" -ge $deadline ]; then
            say 'nobody said whether to keep the change: it stays'
            return 0
        fi
        sleep 0.01
    done
}
