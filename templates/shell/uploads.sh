#!/bin/sh
# Written by Moorage. Removes uploads that nobody continues from the folder of images, $1: a push that is
# broken off, or that filled the disk, leaves what it sent. The registry by itself keeps it for a week.
#
# moorage-uploads.timer starts this every five minutes, as the registry's account.
set -eu
repositories=$1/docker/registry/v2/repositories
[ -d "$repositories" ] || exit 0

# available OPTION: sets $total and $available, as df has them.
available() {
    { IFS= read -r _ && read -r _ total _ available _; } <<END
$(df -P "$1" "$repositories")
END
}

# Minutes in which nothing was written to an upload. One that is sent is written to all the time: nginx
# ends a request that brings nothing for five minutes.
idle=1440
available -k
[ "$available" -ge 1048576 ] || idle=15
available -i
[ "$total" = 0 ] || [ "$total" = - ] || [ "$available" -ge 10000 ] || idle=15

find "$repositories" \( -name _layers -o -name _manifests \) -prune -o \
    -path '*/_uploads/*' -type d -prune -print |
    while IFS= read -r upload; do
        if [ -z "$(find "$upload" -mmin "-$idle" -print -quit)" ]; then
            # When the disk is full, registry 2.8 forgets to close the file, which would keep its space.
            [ ! -f "$upload/data" ] || true >"$upload/data"
            rm -rf -- "$upload"
            echo "removed $upload: nothing was written to it for $idle minutes"
        fi
    done
