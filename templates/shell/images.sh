# Reads what the registry stores: a listing of its files, where its tags lead, and its manifests.
#
# Standard input: the storage's root folder, then the digests (hexadecimal) of manifests that the
# reader has already, sorted, a line each. Standard output, three gzip streams:
# - each file's times of change and of writing, its size and path, each entry ended by NUL
# - each link whose path does not tell where it leads: its path, a colon and its content, a line each
# - a tar archive of the other manifests, each with its digest in its path
# Exits with 3 if there is no registry in the folder, 4 if something could not be read.
# shellcheck shell=sh
set -u
export LC_ALL=C
renice -n 10 -p $$ >/dev/null 2>&1
IFS= read -r root
cd -- "$root/docker/registry/v2" 2>/dev/null || exit 3
work=$(mktemp -d "${TMPDIR:-/run}/moorage-images.XXXXXX") || exit 4
trap 'rm -rf "$work"' EXIT
cat >"$work/known"

# A file that vanishes meanwhile is no error; anything else that find cannot read is.
{
    find . -xdev -ignore_readdir_race -type f -printf '%C@ %T@ %s %P\0' \
        \( -path './repositories/*/_manifests/tags/*/current/link' -fprint0 "$work/links" -o \
        -path './repositories/*/_layers/*/link' ! -path '*/_layers/sha256/*' -fprint0 "$work/links" -o \
        -path './repositories/*/_manifests/revisions/sha256/*/link' -fprintf "$work/paths" '%h\n' \) \
        2>"$work/errors"
    echo $? >"$work/status"
} | gzip -1
[ ! -s "$work/errors" ] || { cat "$work/errors" >&2; exit 4; }
# It can also be killed, and then says nothing.
[ "$(cat "$work/status")" = 0 ] || { echo "find ended with status $(cat "$work/status")" >&2; exit 4; }

# Tags can be removed meanwhile; what has no content here has to be looked at again.
xargs -0 -r grep -sH '' -- <"$work/links" >"$work/read"
gzip -1 <"$work/read"

# A tag can lead to a manifest whose own link is missing.
{
    sed 's|.*/||' "$work/paths"
    sed -n 's/.*:sha256:\([0-9a-f]\{64\}\)$/\1/p' "$work/read"
} | sort -u | comm -23 - "$work/known" | while IFS= read -r digest; do
    path=blobs/sha256/${digest%"${digest#??}"}/$digest/data
    [ ! -f "$path" ] || printf '%s\0' "$path"
done | tar --create --file=- --null --no-recursion --format=ustar --files-from=- | gzip -1
