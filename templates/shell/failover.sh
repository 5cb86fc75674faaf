# Installs or removes the failover service, or prints its status.
#
# Standard input: a line "install", "uninstall" or "status", then a line with the registry's name;
# for install, then a tar archive with code/, task.json, secrets.json and unit.
# Standard output: for status and install, the service's status as JSON, or nothing.
# shellcheck shell=sh
set -eu

IFS= read -r action
IFS= read -r name
account=moorage-failover
code=/usr/local/lib/moorage-failover
etc=/etc/moorage-failover
unit=/etc/systemd/system/moorage-failover@.service
service=moorage-failover@$name.service
status=/run/moorage-failover/$name/status.json

fail() {
    printf '%s\n' "$1" >&2
    exit "${2:-1}"
}
command -v systemctl >/dev/null 2>&1 || fail "systemd is not installed"

if [ "$action" = status ]; then
    [ -d "$etc/$name" ] || fail "the failover service is not installed" 3
    systemctl is-active "$service" >&2 || true
    [ ! -r "$status" ] || cat "$status"
    exit 0
fi

if [ "$action" = uninstall ]; then
    [ -d "$etc/$name" ] || fail "the failover service is not installed" 3
    systemctl disable --now "$service" >/dev/null 2>&1 || true
    systemctl reset-failed "$service" >/dev/null 2>&1 || true
    rm -rf "${etc:?}/$name" "/var/lib/moorage-failover/$name"
    # Keep the rest if the service also monitors another registry.
    if rmdir "$etc" 2>/dev/null; then
        rm -rf "$unit" "$code" /var/lib/moorage-failover
        systemctl daemon-reload
        ! id -u "$account" >/dev/null 2>&1 || userdel "$account"
    fi
    exit 0
fi

staging=$(mktemp -d /tmp/moorage-failover.XXXXXX)
trap 'rm -rf "$staging"' EXIT
trap 'exit 1' HUP INT TERM PIPE
tar -xf - --no-same-owner -C "$staging"
check='import sys, ssl, json, asyncio; sys.exit(sys.version_info < (3, 11))'
if ! /usr/bin/python3 -c "$check" >/dev/null 2>&1; then
    command -v apt-get >/dev/null 2>&1 || fail "Python 3.11 or newer is not installed"
    export DEBIAN_FRONTEND=noninteractive
    # apt on Debian 12 can hang for ever on a delayed retry.
    apt() { apt-get -q -o Acquire::Retries::Delay=false "$@" >&2; }
    install_python() { apt -y install --no-install-recommends python3 ca-certificates; }
    install_python || { apt update && install_python; } ||
        fail "python3 could not be installed"
    /usr/bin/python3 -c "$check" >/dev/null 2>&1 || fail "the distribution's Python is older than 3.11"
fi
id -u "$account" >/dev/null 2>&1 ||
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$account"

mkdir -p "$etc/$name" "${code%/*}"
chmod 0755 "$etc"
chown "root:$account" "$etc/$name"
chmod 0750 "$etc/$name"
# Write everything first and then move it into place, so that a full disk changes nothing.
install -o root -g "$account" -m 0640 "$staging/task.json" "$etc/$name/task.json.new"
install -o "$account" -g "$account" -m 0400 "$staging/secrets.json" "$etc/$name/secrets.json.new"
install -o root -g root -m 0644 "$staging/unit" "$unit.new"
chown -R root:root "$staging/code"
chmod -R u=rwX,go=rX "$staging/code"
rm -rf "$code.new" "$code.old"
cp -R "$staging/code" "$code.new"
sync
[ ! -d "$code" ] || mv "$code" "$code.old"
mv -T "$code.new" "$code"
mv -f "$etc/$name/task.json.new" "$etc/$name/task.json"
mv -f "$etc/$name/secrets.json.new" "$etc/$name/secrets.json"
mv -f "$unit.new" "$unit"
rm -rf "$code.old"

# The new task has the servers that the name can point to.
systemctl stop "$service" 2>/dev/null || true
rm -f "$status" "/var/lib/moorage-failover/$name/taken_out.json"
systemctl daemon-reload
systemctl enable -q "$service" || fail "the service could not be enabled"
systemctl restart "$service"
tries=0
while [ ! -s "$status" ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 150 ]; then
        journalctl -u "$service" -n 20 --no-pager -o cat >&2 || true
        fail "the service did not start"
    fi
    sleep 0.2
done
cat "$status"
