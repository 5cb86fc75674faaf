# Ends programs that hang, so that a run can roll back; read by run.sh.
#
# The shell hears nothing, neither a word to stop nor a signal, while it waits for a program. A process
# beside it ends the program when it takes longer than the step allows, or when the run is to stop and
# the program does not end.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

# Ends what hangs until the run has ended. Begun in the background, without the run's locks.
watch_programs() {
    trap '' TERM INT
    read -r watcher _ </proc/self/stat
    watched='' since=0 stopping=0
    while sleep 2 && kill -0 $$ 2>/dev/null; do
        found=$(list_programs $$)
        tick
        # A shell that polls has another program each time.
        if [ "${found%% *}" != "$watched" ]; then watched=${found%% *} since=$now; fi
        if [ "$stopping" = 0 ] && [ -e abort ]; then stopping=$now; fi
        [ -n "$found" ] || continue
        limit_programs
        if [ "$stopping" -gt "$since" ] && [ $can_stop = yes ]; then since=$stopping; fi
        if [ $((now - since)) -ge "$limit" ]; then end_programs; fi
    done
}

# Sets $limit to how many seconds a program may take in the step that goes on.
limit_programs() {
    step=
    while read -r line; do step=$line; done <step 2>/dev/null || :
    limit=$plan_step_seconds can_stop=yes
    case "$step" in
    # What packages and images wrote is written to the disks when all is staged.
    packages | image | certificate | staged) limit=$plan_long_step_seconds ;;
    hooks-*) limit=$((plan_hook_seconds + plan_step_seconds)) ;;
    esac
    # A large folder of images that is taken over, or given back, changes its owner.
    if [ -s backup/storage-owner ]; then limit=$plan_long_step_seconds; fi
    # Cut off while it configures a package, dpkg leaves it half installed.
    if [ ! -e forward ] || runs dpkg; then can_stop=no; fi
    if [ "$stopping" != 0 ] && [ $can_stop = yes ]; then limit=$plan_stop_seconds; fi
}

# runs NAME: whether one of the programs that were found is called that.
runs() {
    for process in $found; do
        { read -r said <"/proc/$process/comm"; } 2>/dev/null || continue
        [ "$said" != "$1" ] || return 0
    done
    return 1
}

# Ends everything the shell has started but this watch, and notes what it was and how long it took.
end_programs() {
    name=
    for process in $found; do
        { read -r said <"/proc/$process/comm"; } 2>/dev/null || continue
        case "$said" in sh | dash | timeout) ;; *) name=${name:-$said} ;; esac
    done
    printf '%s\t%s\n' "${name:-a program}" "$limit" >overdue
    # shellcheck disable=SC2086 # one word a process
    kill -TERM $found 2>/dev/null
    sleep 2
    # shellcheck disable=SC2086 # likewise; what the shell has started meanwhile goes on
    kill -KILL $found 2>/dev/null
    watched=
}

# list_programs PROCESS: the processes below one, each before those it has started.
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
