# Lists the registry's trash: for each run its name, state and time; the numbers of the files that are
# still there, and NUMBER/tags/TAG for tags of whole repositories; and the list of all files it moved, a
# JSON array a line; then an empty line.
#
# Standard input: the storage's root folder.
# shellcheck shell=sh
set -u
export LC_ALL=C
IFS= read -r root
cd -- "$root/moorage-trash" 2>/dev/null || exit 0
for run in *; do
    [ -f "$run/list" ] && [ -f "$run/state" ] || continue
    printf '%s\t%s\t%s\n' "$run" "$(cat "$run/state")" "$(stat -c %Y "$run/state")"
    find "$run" -mindepth 1 -maxdepth 1 -name '[0-9]*' -printf '%f '
    for folder in "$run"/*/tags; do
        [ -d "$folder" ] || continue
        find "$folder" -mindepth 1 -maxdepth 1 ! -name '*[!A-Za-z0-9_.-]*' -printf "${folder#*/}/%f "
    done
    echo
    cat "$run/list"
    echo
done
