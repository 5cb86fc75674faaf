# The operator's hooks; sourced by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

# run_hooks STEP MOMENT: runs the hooks of a moment, in order.
run_hooks() {
    [ -s plan/hooks ] && grep -q "^[0-9]*$tab$2$tab" plan/hooks || return 0
    step "$1"
    while IFS="$tab" read -r number moment seconds on_failure name; do
        [ "$moment" = "$2" ] || continue
        say "hook $name, $moment"
        run_hook
        [ -n "$hook_failure" ] || continue
        if [ "$on_failure" = roll_back ]; then fail "$hook_failure" "$name" "$hook_value"; fi
        case "$hook_failure" in
        hook_timed_out) printf '@warning\tthe hook %s took longer than %s s\n' "$name" "$hook_value" ;;
        *) printf '@warning\tthe hook %s failed with status %s\n' "$name" "$hook_value" ;;
        esac
    done <plan/hooks
}

# Runs one hook: $number, $seconds, $name, $moment. Afterwards $hook_failure is empty, or the code of what went wrong, with
# $hook_value: the status, or the seconds it had.
run_hook() {
    hook_failure=
    tick
    began=$now
    true >hook.out || cannot_write "$run/hook.out"
    # The hook inherits none of the run's locks and writes to a file, so that its background processes
    # block neither this run nor the next. systemd kills them with the run.
    (
        umask 022
        exec timeout -k 5 "$seconds" env -i PATH="$PATH" LC_ALL="$LC_ALL" HOME=/root \
            MOORAGE_EVENT="$moment" MOORAGE_DOMAIN="$plan_domain" MOORAGE_SERVER="$plan_server" \
            MOORAGE_RUN="${run##*/}" "$run/hooks/$number" </dev/null >>hook.out 2>&1 8>&- 9>&-
    ) &
    hook=$!
    tail -n +1 -s 0.05 -f --pid="$hook" hook.out 8>&- 9>&- | show_hook_output &
    reader=$!
    # Poll instead of wait, to handle signals and cancellation right away.
    looks=0 pause=0.02
    while kill -0 "$hook" 2>/dev/null; do
        if [ -e abort ]; then
            kill "$hook" 2>/dev/null
            wait "$hook"
            cancel
        fi
        looks=$((looks + 1))
        [ $looks != 25 ] || pause=0.1
        sleep $pause
    done
    wait "$hook"
    status=$?
    wait "$reader"
    # timeout ends with these when it had to end the hook; the hook itself may end with them, too.
    if [ "$status" = 0 ]; then return 0; fi
    hook_failure=hook_failed hook_value=$status
    case "$status" in
    124 | 137)
        tick
        if [ $((now - began)) -ge "$seconds" ]; then hook_failure=hook_timed_out hook_value=$seconds; fi
        ;;
    esac
}

# Copies a hook's output to the log, prefixed so that no line can pass for one of the run's own.
show_hook_output() {
    lines=0
    while IFS= read -r line || [ -n "$line" ]; do
        lines=$((lines + 1))
        if [ $lines -gt 2000 ]; then
            say "[$name] output truncated after 2000 lines"
            return 0
        fi
        # Do not cut the line: part of a secret would not be recognised and masked.
        if [ ${#line} -gt 8000 ]; then line="(line of ${#line} characters omitted)"; fi
        say "[$name] $line"
    done
}
