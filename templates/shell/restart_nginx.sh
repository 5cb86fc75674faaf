#!/bin/sh
# Written by Moorage. needrestart runs this instead of 'systemctl restart nginx', which refuses connections
# until open transfers have ended. nginx replaces its own process instead, with the new libraries.
set -u
export LC_ALL=C

read -r master 2>/dev/null </run/nginx.pid || master=self
# After an upgrade of nginx, only the old process, which finishes its transfers, uses replaced files.
if ! grep -q '\(\.so[.0-9]*\|/nginx\) (deleted)$' "/proc/$master/maps"; then exit 0; fi
# While an old process finishes its transfers, nginx ignores the request.
if [ ! -e /run/nginx.pid.oldbin ] && [ -x /etc/init.d/nginx ] && /etc/init.d/nginx upgrade; then exit 0; fi
exec systemctl restart nginx.service
