# Follows the log of the run $run from beginning to end, and passes commands on to it.
#
# Standard input: lines "go", "abort", "keep" or "undo". Standard output: the log; at the end "@result" if the log
# does not say it.
# shellcheck shell=sh
# shellcheck disable=SC2154 # the script before this one sets run
exec 3<&0
# Notes that nobody can give the go-ahead any more: the session that started the run has ended.
note_gone() {
    if [ "${leads:-no}" != yes ] || [ ! -e "$run/unsaid.gone" ] || [ -e "$run/gone" ]; then return; fi
    { true >"$run/gone" || mv "$run/unsaid.gone" "$run/gone"; } 2>/dev/null
}
(
    while IFS= read -r word <&3; do
        case "$word" in
        # A full disk has no room for a new file, but the run has one to rename.
        go | abort | keep | undo) { true >"$run/$word" || mv "$run/unsaid.$word" "$run/$word"; } 2>/dev/null ;;
        esac
    done
    note_gone
) &
reader=$!
unit=moorage-run-${run##*/}
pid=$(timeout 10 systemctl show -p MainPID --value "$unit" 2>/dev/null)
# A run holds its lock for as long as it lives.
if [ -z "$pid" ]; then
    sleep 1
    flock "$run/lock" true &
    pid=$!
fi
# A unit that has already ended has PID 0, which tail would wait for for ever.
case "$pid" in
0) cat "$run/log" ;;
*) tail -n +1 -s 0.01 -f --pid="$pid" "$run/log" 2>/dev/null ;;
esac
kill "$reader" 2>/dev/null
# Without a connection, the log can end before the reader has noticed.
note_gone
if [ ! -e "$run/result" ]; then
    printf '@result\tinterrupted\trun_interrupted\t%s\n' "$(tail -n 1 "$run/step" 2>/dev/null)"
elif ! grep -q "^@result" "$run/log"; then
    # The disk was full when it was to be logged.
    # Its lines are the words after "@result".
    printf '@result'
    while IFS= read -r line; do printf '\t%s' "$line"; done <"$run/result"
    printf '\n'
fi
exit 0
