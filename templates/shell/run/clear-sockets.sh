#!/bin/sh
# Written by Moorage. Removes the unix sockets of the registry's site that no process holds any more.
#
# nginx cannot open a unix socket whose file exists, and an nginx that is killed or fails to start
# leaves the files behind. So this runs before everything that starts or reloads nginx.
set -u
export LC_ALL=C

# The names come first: nginx cannot take a name that exists, so what nobody holds after this is stale.
set -- /run/moorage/*.sock
[ -S "$1" ] || exit 0
# A socket that is bound, whether it listens already or not, is in state 01. nginx may be in a network
# namespace of its own, which has a table of its own.
read -r master 2>/dev/null </run/nginx.pid || master=self
held=$(grep -hs ' 01 *[0-9]* /run/moorage/' /proc/net/unix "/proc/$master/net/unix")
line='
'
for socket; do
    case "$held$line" in *" $socket$line"*) continue ;; esac
    [ ! -S "$socket" ] || rm -f -- "$socket"
done
