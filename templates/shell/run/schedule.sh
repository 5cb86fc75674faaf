# Starts and stops the timer that collects images; sourced by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2154 # variables are shared with run.sh

# Fails if this server's systemd does not understand the schedule; nothing has been changed yet.
check_schedule() {
    [ "$plan_calendar" = - ] && return 0
    systemd-analyze calendar -- "$plan_calendar" >calendar.log 2>&1 ||
        fail schedule_refused "$plan_calendar" "$(tail -n 1 calendar.log)"
}

# After the switch: the schedule changes when everything else is in effect. The next apply repairs it if
# this fails.
set_schedule() {
    case "$plan_schedule" in
    start) start_schedule ;;
    stop) stop_schedule ;;
    *) return 0 ;;
    esac 2>schedule.log ||
        printf '@warning\tmoorage-collect.timer was not changed: %s\n' "$(tail -n 1 schedule.log)"
}

# The time of this file is that of the last run, for systemd; with an older one, the timer would make up at
# once for a time that the new schedule had before it was in effect.
stamp=/var/lib/systemd/timers/stamp-moorage-collect.timer

start_schedule() {
    mkdir -p "${stamp%/*}" && touch "$stamp" &&
        systemctl enable -q --no-reload moorage-collect.timer && systemctl daemon-reload && systemctl restart moorage-collect.timer
}

# Its files are gone already.
stop_schedule() {
    rm -f /etc/systemd/system/timers.target.wants/moorage-collect.timer
    systemctl stop moorage-collect.timer
    rm -f "$stamp"
    systemctl daemon-reload
}
