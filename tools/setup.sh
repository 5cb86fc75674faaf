#!/bin/sh
# Set up a checkout: install the tests' programs and a virtual environment with locked packages.
# Does nothing if these have not changed since the last run.
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
        # shellcheck disable=SC2086 # one word per package
        DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $missing >&2
    fi
fi

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "setup: python3 must be Python 3.11 or newer" >&2
    exit 1
fi

inputs=$(cat requirements/dev.txt pyproject.toml tools/setup.sh | cksum)
if [ "$(cat .venv/ready 2>/dev/null)" = "$inputs" ]; then
    exit 0
fi
echo "setup: installing the locked packages into .venv; this takes about a minute" >&2
python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
printf '%s\n' "$inputs" >.venv/ready
