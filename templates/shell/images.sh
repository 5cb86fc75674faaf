# Reads what the registry stores: a listing of its files, where its tags lead, and its manifests.
#
# Standard input: the storage's root folder, then the digests (hexadecimal) of manifests that the
# reader has already, sorted, a line each. Standard output, four gzip streams:
# - each file's times of change and of writing, its size and path, each entry ended by NUL: first the
#   files of repositories, then blobs
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
trap 'exit 1' HUP INT TERM PIPE
cat >"$work/known"

# A file that vanishes meanwhile is no error, nor is the folder of an upload, a tag, a link or a blob, which the
# registry can remove just before find opens it. Anything else that find cannot read is an error. It can also be
# killed, and then says nothing. Two of them at a time take little more than half as long.
inside='(_uploads|_manifests/tags|_manifests/revisions/[a-z0-9]+|_layers/[a-z0-9]+|sha(256|512)/[0-9a-f]{2})'
check() {
    if grep -Ev "/$inside/[^/']+(/[^']*)?': No such file or directory\$" "$work/errors.$1" >&2; then exit 4; fi
    status=$(cat "$work/status.$1")
    if [ "$status" = 1 ] && [ -s "$work/errors.$1" ]; then status=0; fi
    [ "$status" = 0 ] || { echo "find ended with status $status" >&2; exit 4; }
}
mkdir "$work/none"
blobs=blobs
[ -d blobs ] || blobs=$work/none
{
    find "$blobs" -xdev -ignore_readdir_race -type f -printf '%C@ %T@ %s %p\0' 2>"$work/errors.blobs"
    echo $? >"$work/status.blobs"
} | gzip -1 >"$work/blobs" && : >"$work/whole" &
{
    find . -xdev -ignore_readdir_race -path ./blobs -prune -o -type f -printf '%C@ %T@ %s %P\0' \
        \( -path './repositories/*/_manifests/tags/*/current/link' -fprint0 "$work/links" -o \
        -path './repositories/*/_layers/*/link' ! -path '*/_layers/sha256/*' -fprint0 "$work/links" -o \
        -path './repositories/*/_manifests/revisions/sha256/*/link' -fprintf "$work/paths" '%h\n' \) \
        2>"$work/errors.links"
    echo $? >"$work/status.links"
} | gzip -1
wait
check links
[ -e "$work/whole" ] || { echo "no space for the listing in $work" >&2; exit 4; }
check blobs
cat "$work/blobs"

# Tags can be removed meanwhile; what has no content here has to be looked at again.
xargs -0 -r grep -sH '' -- <"$work/links" >"$work/read"
gzip -1 <"$work/read"

# A tag can lead to a manifest whose own link is missing.
{
    sed 's|.*/||' "$work/paths"
    sed -n 's/.*:sha256:\([0-9a-f]\{64\}\)$/\1/p' "$work/read"
} | sort -u | comm -23 - "$work/known" | sed 's|^\(..\).*|blobs/sha256/\1/&/data|' >"$work/contents"
# Those that are missing are reported as such by the reader.
tar --create --file=- --no-recursion --verbatim-files-from --format=ustar --files-from="$work/contents" 2>/dev/null |
    gzip -1
