# Unpacks a run from standard input, starts it detached, and follows it (follow.sh).
#
# Standard input: the run's ID, the size of the tar archive in bytes, the archive; then commands for
# the run.
# shellcheck shell=sh
set -u
umask 077
IFS= read -r id
IFS= read -r size
state=/var/lib/moorage
run=$state/runs/$id
# shellcheck disable=SC2034 # for follow.sh
leads=yes
[ -d "$state/runs" ] || (umask 022 && mkdir -p "$state" && umask 077 && mkdir -p "$state/runs")
if ! mkdir "$run"; then
    printf '@result\tfailed\tcannot_write\t%s\n' "$state"
    exit 0
fi
# Until the run has its own lock, other runs leave it alone.
exec 7>"$run/sending"
flock -n 7
if ! head -c "$size" | tar -C "$run" -xf - 2>"$run/unpack.log"; then
    printf '@result\tfailed\tupload_not_unpacked\t%s\n' "$(tail -n 1 "$run/unpack.log" 2>/dev/null)"
    rm -rf "$run"
    exit 0
fi
if ! { true >"$run/log" && true >"$run/lock" && true >>"$state/lock"; }; then
    printf '@result\tfailed\tcannot_write\t%s\n' "$run"
    rm -rf "$run"
    exit 0
fi
# The unit outlives this session, and is removed when the run has ended.
if ! systemd-run --quiet --collect --unit="moorage-run-$id" --property=KillMode=mixed \
    --property="ExecStop=/bin/sh -c '[ -e $run/result ] || true >$run/abort'" \
    --property="StandardOutput=append:$run/log" --property="StandardError=append:$run/log" \
    --description="Moorage run $id" /bin/sh "$run/run.sh" "$run" >"$run/start.log" 2>&1; then
    printf '@result\tfailed\trun_not_started\t%s\n' "$(tail -n 1 "$run/start.log")"
    rm -rf "$run"
    exit 0
fi
