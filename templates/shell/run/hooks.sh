# The operator's scripts; read by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

# run_hooks STEP MOMENT: runs the operator's scripts of a moment, in their order.
run_hooks() {
    [ -s plan/hooks ] && grep -q "^[0-9]*$tab$2$tab" plan/hooks || return 0
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
    tick
    began=$now
    true >hook.out || cannot_write "$run/hook.out"
    # The hook gets no lock of this run, and writes to a file: what it leaves running in the
    # background neither keeps this run waiting nor the next one out. systemd ends it with the run.
    (
        umask 022
        exec timeout -k 5 "$seconds" env -i PATH="$PATH" LC_ALL="$LC_ALL" HOME=/root \
            MOORAGE_EVENT="$moment" MOORAGE_DOMAIN="$plan_domain" MOORAGE_SERVER="$plan_server" \
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
        tick
        if [ $((now - began)) -ge "$seconds" ]; then
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
