# Ends programs that hang, so that a run can roll back; read by run.sh.
#
# The shell hears nothing, neither a word to stop nor a signal, while it waits for a program. A process
# beside it watches the step, and ends what the shell waits for when the step takes longer than its
# limit, or when the run is to stop and does not.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

# Ends what hangs until the run has ended. Begun in the background, without the run's locks.
watch_steps() {
    trap '' TERM INT
    read -r watcher _ </proc/self/stat
    watched='' since=0 stopping=0
    while sleep 2 && kill -0 $$ 2>/dev/null; do
        read_step
        limit_step "$last"
        tick
        if [ "$last" != "$watched" ]; then watched=$last since=$now; fi
        if [ "$stopping" = 0 ] && [ -e abort ]; then stopping=$now; fi
        ends=$((since + limit))
        if [ "$stopping" != 0 ] && [ $can_stop = yes ] && [ "$ends" -gt $((stopping + plan_stop_seconds)) ]; then
            ends=$((stopping + plan_stop_seconds))
        fi
        if [ "$limit" != 0 ] && [ "$now" -ge "$ends" ]; then
            end_programs $((now - since))
            # Where the step goes on, its next program gets as long.
            since=$now
        fi
    done
}

# Sets $last to the step that goes on.
read_step() {
    last=
    while read -r line; do last=$line; done <step 2>/dev/null || :
    if [ -e rolling-back ]; then last=rollback; fi
}

# limit_step STEP: sets $limit to how many seconds a step may take, 0 where it has an end of its own,
# and $can_stop to whether its programs may be ended as soon as the run is to stop.
limit_step() {
    can_stop=no
    case "$1" in
    '' | staged | hooks-* | wait | drain) limit=0 ;;
    # Cut off while it configures a package, apt leaves it half installed.
    packages | image | certificate) limit=$plan_long_step_seconds ;;
    rollback) limit=$plan_step_seconds ;;
    *) limit=$plan_step_seconds can_stop=yes ;;
    esac
    # A large folder of images that is taken over, or given back, changes its owner.
    if [ "$limit" != 0 ] && [ -s backup/storage-owner ]; then limit=$plan_long_step_seconds; fi
}

# end_programs SECONDS: ends everything the shell has started but this watch, and notes what it was
# and how long the step took.
end_programs() {
    found=$(list_programs $$)
    [ -n "$found" ] || return 0
    name=
    for process in $found; do
        read -r said </proc/"$process"/comm 2>/dev/null || continue
        case "$said" in sh | dash) ;; *) name=${name:-$said} ;; esac
    done
    printf '%s did not end within %s seconds\n' "${name:-a program}" "$1" >overdue
    # shellcheck disable=SC2086 # one word a process
    kill -TERM $found 2>/dev/null
    sleep 2
    # shellcheck disable=SC2046 # likewise
    kill -KILL $(list_programs $$) 2>/dev/null
}

# list_programs PROCESS: the processes below one, innermost first.
list_programs() (
    children=
    read -r children 2>/dev/null <"/proc/$1/task/$1/children"
    for child in $children; do
        if [ "$child" != "$watcher" ]; then
            list_programs "$child"
            printf '%s ' "$child"
        fi
    done
)
