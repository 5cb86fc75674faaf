#!/bin/sh
# Written by Moorage. systemd runs this as root when a registry slot starts: "prepare SLOT" before
# the registry, "open SLOT" after it was started.
#
# The settings are in the environment, from slot.env next to the slot's configuration. Slots from
# versions without that file listen on TCP and need nothing here.
set -eu
account=moorage
sockets=/run/moorage-registry

case "$1" in
prepare)
    # The shell that the unit starts would only say "not found".
    if [ -n "${MOORAGE_PROGRAM:-}" ] && [ ! -x "$MOORAGE_PROGRAM" ]; then
        echo "the registry's program $MOORAGE_PROGRAM is missing or cannot be executed; applying again restores it" >&2
        exit 1
    fi
    # Refuse an empty mount point: the registry would seem to have lost its images, and would store
    # new ones there.
    if [ -n "${MOORAGE_STORE:-}" ]; then
        marker=$MOORAGE_STORE_FOLDER/.moorage-store
        store=missing
        { read -r store; } 2>/dev/null <"$marker" || :
        if [ "$store" != "$MOORAGE_STORE" ]; then
            echo "the images are not in $MOORAGE_STORE_FOLDER, is its disk mounted? ($marker is $store, must be $MOORAGE_STORE)" >&2
            exit 1
        fi
    fi
    # Any process that can connect to the registry's socket can read and write all images. The socket
    # inherits the folder's group.
    install -d -m 0755 "$sockets"
    install -d -m 2710 -o "$account" -g "${MOORAGE_WEB_GROUP:-root}" "$sockets/$2"
    # Remove a killed registry's socket, so that "open" does not take it for the new one.
    rm -f -- "$sockets/$2/registry.sock"
    ;;
open)
    [ -n "${MOORAGE_SOCKET:-}" ] || exit 0
    # The registry creates a socket that only its own account can write to.
    until [ -S "$MOORAGE_SOCKET" ]; do
        kill -0 "$MAINPID" 2>/dev/null || exit 1
        sleep 0.05
    done
    # As the registry's account, in case the path is a link to a file of root's.
    setpriv --reuid="$account" --regid="$account" --clear-groups chmod 0660 "$MOORAGE_SOCKET"
    ;;
esac
