#!/bin/sh
# Written by Moorage. Removes abandoned uploads from the images' folder, $1: they are left behind when a
# push is interrupted or fills the disk. The registry itself would keep them for a week.
#
# moorage-uploads.timer runs this every five minutes under the registry's account.
set -eu
repositories=$1/docker/registry/v2/repositories
[ -d "$repositories" ] || exit 0

# available OPTION: sets $total and $available from df.
available() {
    { IFS= read -r _ && read -r _ total _ available _; } <<END
$(df -P "$1" "$repositories")
END
}

# Minutes without a write after which an upload counts as abandoned. Active uploads are written to all
# the time: nginx ends a request that sends nothing for five minutes.
idle=1440
available -k
[ "$available" -ge 1048576 ] || idle=15
available -i
[ "$total" = 0 ] || [ "$total" = - ] || [ "$available" -ge 10000 ] || idle=15

find "$repositories" \( -name _layers -o -name _manifests \) -prune -o \
    -path '*/_uploads/*' -type d -prune -print |
    while IFS= read -r upload; do
        if [ -z "$(find "$upload" -mmin "-$idle" -print -quit)" ]; then
            # On a full disk, registry 2.8 leaves the file open, which would keep its space in use.
            [ ! -f "$upload/data" ] || true >"$upload/data"
            rm -rf -- "$upload"
            echo "removed $upload: idle for $idle minutes"
        fi
    done
