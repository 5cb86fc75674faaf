#!/bin/sh
# Written by Moorage. Removes stale unix sockets of the registry's site.
#
# nginx cannot bind to a unix socket whose file exists, and leaves the files behind if it is killed or
# fails to start. So this runs before every start and reload of nginx.
set -u
export LC_ALL=C

# List the files first: nginx cannot bind to an existing file, so those without a holder are stale.
set -- /run/moorage/*.sock
[ -S "$1" ] || exit 0
# Bound sockets, listening or not, are in state 01. nginx can be in its own network namespace, which
# has a separate table.
read -r master 2>/dev/null </run/nginx.pid || master=self
held=$(grep -hs ' 01 *[0-9]* /run/moorage/' /proc/net/unix "/proc/$master/net/unix")
line='
'
for socket; do
    case "$held$line" in *" $socket$line"*) continue ;; esac
    [ ! -S "$socket" ] || rm -f -- "$socket"
done
