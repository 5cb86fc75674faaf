# Reads the state of a run from its folder. The scripts that list runs begin with this.
# shellcheck shell=sh
# shellcheck disable=SC2034 # the script after this one uses the variables

# read_run RUN CHANGED: sets running and uninstalls (yes or no), step, status, code and values, and changed to
# CHANGED: when its folder changed. Fails if RUN is not a run (yet): one that is being sent has no lock.
read_run() {
    running=no uninstalls=no changed=$2 step='' status='' code='' values=''
    [ -e "$1/lock" ] || [ -e "$1/result" ] || return 1
    if [ -e "$1/plan/uninstall.json" ]; then uninstalls=yes; fi
    # The last line counts.
    while read -r begun; do step=$begun; done 2>/dev/null <"$1/step"
    read_result "$1"
    [ -z "$status" ] || return 0
    # A run holds its lock until it ends, so a free lock means that it has ended. It can have ended since its result
    # was read, or not have taken its lock yet.
    if [ -e "$1/lock" ] && ! flock -n "$1/lock" true; then running=yes && return 0; fi
    read_result "$1"
    if [ -z "$status$step" ] && [ $(($(date +%s) - changed)) -lt 30 ]; then running=yes; fi
}

read_result() {
    # A run from before there were codes has its message there, and no third line.
    { read -r status && IFS= read -r code && IFS= read -r values; } 2>/dev/null <"$1/result"
}
