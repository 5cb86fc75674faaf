#!/bin/sh
# Written by Moorage. systemd runs this as root around the start of a registry slot: "prepare SLOT"
# before the registry, "open SLOT" once it was started.
#
# What the slot needs is in the environment, from slot.env beside its configuration. A slot that was
# set up before there was such a file listens on TCP and needs nothing.
set -eu
account=moorage
sockets=/run/moorage-registry

case "$1" in
prepare)
    # An empty mount point looks like a registry that lost its images, and would take new ones.
    if [ -n "${MOORAGE_STORE:-}" ]; then
        marker=$MOORAGE_STORE_FOLDER/.moorage-store
        store=missing
        { read -r store; } 2>/dev/null <"$marker" || :
        if [ "$store" != "$MOORAGE_STORE" ]; then
            echo "the images are not in $MOORAGE_STORE_FOLDER, is its disk mounted? ($marker is $store, must be $MOORAGE_STORE)" >&2
            exit 1
        fi
    fi
    # Whoever can connect to the registry's socket can read and write every image. The socket gets its
    # group from the folder.
    install -d -m 0755 "$sockets"
    install -d -m 2710 -o "$account" -g "${MOORAGE_WEB_GROUP:-root}" "$sockets/$2"
    # A registry that was killed leaves its socket, which would be opened in place of the new one.
    rm -f -- "$sockets/$2/registry.sock"
    ;;
open)
    [ -n "${MOORAGE_SOCKET:-}" ] || exit 0
    # The registry creates its socket so that only its own account can write to it.
    until [ -S "$MOORAGE_SOCKET" ]; do
        kill -0 "$MAINPID" 2>/dev/null || exit 1
        sleep 0.05
    done
    # As the registry's account: it could have put a link to another file of root's there.
    setpriv --reuid="$account" --regid="$account" --clear-groups chmod 0660 "$MOORAGE_SOCKET"
    ;;
esac
