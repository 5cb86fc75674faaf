# Unpacks a run from standard input, starts it detached, and follows it (follow.sh).
#
# Standard input: the run's ID; the size of the tar archive in bytes and, if the run works without the disk, the word
# "memory", on one line; the archive; then commands for the run. run/full_disk.sh is prepended to this script.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # follow.sh and full_disk.sh use these variables
set -u
umask 077
IFS= read -r id
read -r size place
state=/var/lib/moorage
run=$state/runs/$id
has_folder=no
leads=yes

# fail CODE VALUE: ends without a run, because of a full disk if there is one.
fail() {
    find_full_disk "${run%/*}" "$state" "${state%/*}"
    [ -z "$full_disk" ] || set -- disk_full "$full_disk"
    [ "$has_folder" = no ] || rm -rf "$run" "$state/runs/$id"
    printf '@result\tfailed\t%s\t%s\n' "$1" "$2"
    exit 0
}

[ -d "$state/runs" ] || (umask 022 && mkdir -p "$state" && umask 077 && mkdir -p "$state/runs")
if [ "$place" = memory ]; then
    least_room=4096 least_inodes=200
    find_full_disk "$state/runs"
    least_room=64 least_inodes=1
    if [ -n "$full_disk" ]; then
        run=/run/moorage-runs/$id
        mkdir -p "${run%/*}"
    fi
fi
mkdir "$run" || fail cannot_write "${run%/*}"
has_folder=yes
# A run in memory that cannot be linked is followed by this session only.
[ -e "$state/runs/$id" ] || ln -s "$run" "$state/runs/$id"
true >"$run/sending" || fail cannot_write "$run"
# Until the run has its own lock, other runs leave it alone.
exec 7>"$run/sending"
flock -n 7
why=$(head -c "$size" | tar -C "$run" -xf - 2>&1) || fail upload_not_unpacked "$(printf '%s' "$why" | head -n 1)"
{ true >"$run/log" && true >"$run/lock" && true >>"$state/lock"; } || fail cannot_write "$run"
# The unit outlives this session, and is removed when the run has ended.
why=$(systemd-run --quiet --collect --unit="moorage-run-$id" --property=KillMode=mixed \
    --property="ExecStop=/bin/sh -c '[ -e $run/result ] || true >$run/abort'" \
    --property="StandardOutput=append:$run/log" --property="StandardError=append:$run/log" \
    --description="Moorage run $id" /bin/sh "$run/run.sh" "$run" 2>&1) ||
    fail run_not_started "$(printf '%s' "$why" | tail -n 1)"
