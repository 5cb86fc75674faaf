# Starts the program that deletes, collects or restores images on this server: the modules in code/,
# which need Python 3.9 and its standard library. Like every run, it is kept in /var/lib/moorage/runs/ID
# with its log and result.
# shellcheck shell=sh source-path=SCRIPTDIR
# shellcheck disable=SC2034,SC2154 # the sourced files use these variables
set -u
umask 077
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

run=$1
cd "$run" || exit 1
state=/var/lib/moorage

# shellcheck source=../run/common.sh
. ./common.sh
# shellcheck source=../run/full_disk.sh
. ./full_disk.sh
# shellcheck source=../run/causes.sh
. ./causes.sh
# shellcheck source=../run/additions.sh
. ./additions.sh
# shellcheck source=../run/packages.sh
. ./packages.sh

has_python() { python3 -c 'import sys, dataclasses, hashlib, json, zlib; sys.exit(sys.version_info < (3, 9))' >/dev/null 2>&1; }

install_python() {
    list_packages >packages.before || cannot_write "$run/packages.before"
    mark_journal
    # shellcheck disable=SC2046 # one word a package
    set -- $(cat plan/packages)
    apt -y --no-install-recommends install "$@" || { apt update && apt -y --no-install-recommends install "$@"; }
    note_packages_since packages.before
    has_python || fail images_no_python "$(why_apt "")"
}

if ! has_python; then
    trap 'outcome=cancelled && cancel' TERM INT HUP PIPE
    take_locks
    step packages
    install_python
    # The program takes these locks itself.
    exec 8>&- 9>&-
    trap - TERM INT HUP PIPE
fi
exec python3 -B -E -s code "$run"
