# Kills programs that hang, so that a run can roll back; sourced by run.sh.
#
# While the shell waits for a program, it handles neither commands nor signals. A background process
# kills a program that exceeds the step's time limit, or that does not end after a cancellation.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

# Kills hanging programs until the run has ended. Runs in the background, without the run's locks.
watch_programs() {
    ignore_signals
    read -r watcher _ </proc/self/stat
    watched='' since=0 stopping=0
    while sleep 2 && kill -0 $$ 2>/dev/null; do
        found=$(list_programs $$)
        tick
        # A polling shell has a different program each time.
        if [ "${found%% *}" != "$watched" ]; then watched=${found%% *} since=$now; fi
        if [ "$stopping" = 0 ] && [ -e abort ]; then stopping=$now; fi
        [ -n "$found" ] || continue
        limit_programs
        if [ "$stopping" -gt "$since" ] && [ $can_stop = yes ]; then since=$stopping; fi
        if [ $((now - since)) -ge "$limit" ]; then end_programs; fi
    done
}

# Sets $limit to the time limit of programs in the current step, in seconds.
limit_programs() {
    step=
    while read -r line; do step=$line; done <step 2>/dev/null || :
    limit=$plan_step_seconds can_stop=yes
    case "$step" in
    # "staged" flushes the packages' and images' files to the disk.
    packages | image | certificate | staged) limit=$plan_long_step_seconds ;;
    hooks-*) limit=$((plan_hook_seconds + plan_step_seconds)) ;;
    esac
    # Changing the owner of a large images folder takes long.
    if [ -s backup/storage-owner ]; then limit=$plan_long_step_seconds; fi
    # Do not interrupt dpkg, which would leave packages half installed.
    if [ ! -e forward ] || runs dpkg; then can_stop=no; fi
    if [ "$stopping" != 0 ] && [ $can_stop = yes ]; then limit=$plan_stop_seconds; fi
}

# runs NAME: whether one of the programs in $found has this name.
runs() {
    for process in $found; do
        { read -r program <"/proc/$process/comm"; } 2>/dev/null || continue
        [ "$program" != "$1" ] || return 0
    done
    return 1
}

# Kills everything the shell has started except this watch, and records the program and the limit.
end_programs() {
    name=
    for process in $found; do
        { read -r program <"/proc/$process/comm"; } 2>/dev/null || continue
        case "$program" in sh | dash | timeout) ;; *) name=${name:-$program} ;; esac
    done
    printf '%s\t%s\n' "${name:-a program}" "$limit" >overdue
    # shellcheck disable=SC2086 # one word a process
    kill -TERM $found 2>/dev/null
    sleep 2
    # shellcheck disable=SC2086 # likewise; newly started programs are left alone
    kill -KILL $found 2>/dev/null
    watched=
}

# list_programs PROCESS: prints its descendants, parents first.
list_programs() (
    children=
    { read -r children <"/proc/$1/task/$1/children"; } 2>/dev/null
    for child in $children; do
        if [ "$child" != "$watcher" ]; then
            printf '%s ' "$child"
            list_programs "$child"
        fi
    done
)
