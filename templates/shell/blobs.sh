# Sends the content of some of the registry's blobs.
#
# Standard input: the storage's root folder, then the digests (hexadecimal), a line each. Standard
# output: a tar archive, compressed with gzip, of those that exist, each with its digest in its path.
# Exits with 3 if there is no registry in the folder.
# shellcheck shell=sh
set -u
export LC_ALL=C
IFS= read -r root
cd -- "$root/docker/registry/v2" 2>/dev/null || exit 3
while IFS= read -r digest; do
    path=blobs/sha256/${digest%"${digest#??}"}/$digest/data
    [ ! -f "$path" ] || printf '%s\0' "$path"
done | tar --create --file=- --null --no-recursion --format=ustar --files-from=- | gzip -1
