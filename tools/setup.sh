#!/bin/sh
# Sets up a checkout: the programs that tests need, and a virtual environment with locked packages.
# Run again after a change of the locked versions; otherwise it does nothing.
set -eu
cd "$(dirname "$0")/.."

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    missing=
    command -v curl >/dev/null 2>&1 || missing="$missing curl"
    command -v ssh >/dev/null 2>&1 || missing="$missing openssh-client"
    command -v ssh-agent >/dev/null 2>&1 || missing="$missing openssh-client"
    command -v tmux >/dev/null 2>&1 || missing="$missing tmux"
    command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
    command -v python3 >/dev/null 2>&1 || missing="$missing python3"
    python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || missing="$missing python3-venv"
    if [ -n "$missing" ]; then
        echo "setup: installing$missing" >&2
        apt-get -q update >&2
        # shellcheck disable=SC2086 # one word a package
        DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $missing >&2
    fi
fi

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "setup: Python 3.11 or newer is needed, as python3" >&2
    exit 1
fi

wanted=$(cat requirements/dev.txt pyproject.toml tools/setup.sh | cksum)
if [ "$(cat .venv/ready 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi
echo "setup: installing the locked packages into .venv; this takes about a minute" >&2
python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
printf '%s\n' "$wanted" >.venv/ready
