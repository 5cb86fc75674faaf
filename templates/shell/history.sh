# Prints the runs that are kept on this server, latest first, as gzip.
#
# Standard input: how many at most. Standard output, lines of fields separated by tabs:
# - current and the content of deployment.json, on one line
# - run, its ID, whether it is running, when its folder changed, when it began, its kind, its last step,
#   the lines of its result
# - record and the deployment.json that it was to write, or who uninstalls and when, on one line
# - of a run on images: task and its summary or else its task, on one line; counted, and names and numbers
# What is larger than 256 KiB is cut. runs.sh comes first.
# shellcheck shell=sh
# shellcheck disable=SC2154 # runs.sh sets what is read of a run
set -u
export LC_ALL=C
IFS= read -r most

# one_line NAME FILE: prints a file as one line after a name; JSON has line breaks only between values.
one_line() {
    [ -f "$2" ] && [ ! -L "$2" ] || return 0
    printf '%s\t' "$1"
    head -c 262144 "$2" | tr -d '\n\t'
    printf '\n'
}

# is_of_moorage RUN: whether it is not a link to elsewhere; the disk can have been full (start.sh).
is_of_moorage() { [ ! -L "$1" ] || [ "$(readlink "$1")" = "/run/moorage-runs/$1" ]; }

print_run() {
    run=$1 kind=''
    read_run "$run" "$2" || return 0
    began=$(head -c 65536 "$run/log" 2>/dev/null | sed -n 's/^@step\t\([0-9]\{1,15\}\)\t.*/\1/p' | head -n 1)
    if [ -e "$run/plan/deployment.json" ]; then kind=apply; fi
    if [ -e "$run/plan/undone.json" ]; then kind=users; fi
    if [ "$uninstalls" = yes ]; then kind=uninstall; fi
    printf 'run\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$run" "$running" "$changed" "$began" "$kind" \
        "$step" "$status" "$code" "$values"
    one_line record "$run/plan/deployment.json"
    one_line record "$run/plan/uninstall.json"
    if [ -e "$run/task.json" ]; then
        if [ -e "$run/summary.json" ]; then one_line task "$run/summary.json"; else one_line task "$run/task.json"; fi
        tail -c 4096 "$run/log" 2>/dev/null | sed -n 's/^@number\t\([a-z_]*\t[0-9]*\)$/\1/p' | paste -s - | sed 's/^./counted\t&/'
    fi
}

{
    one_line current /etc/moorage/deployment.json
    if cd /var/lib/moorage/runs 2>/dev/null; then
        # Moorage names them: the time, and random digits.
        stat -c '%Y %n' -- * 2>/dev/null | tac | head -n "$most" | while read -r changed each; do
            if [ -d "$each" ] && is_of_moorage "$each"; then print_run "$each" "$changed"; fi
        done
    fi
    echo end
} | gzip -1
