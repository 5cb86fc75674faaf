# Restores the previous state; sourced by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

# Neither a failure nor a signal during the rollback starts another one.
rollback() {
    rollback_needed=no
    ignore_signals
    rm -f forward
    restore_all
}

restore_all() {
    tick
    printf '@step\t%s\t%s\n' $((booted + now)) rollback
    say 'rolling back'
    is_rolled_back=yes remaining=
    restore_files
    restore_image
    if [ "$plan_slot_from" != - ]; then
        systemctl enable -q --no-reload "moorage-registry@$plan_slot_from" || is_rolled_back=no
    fi
    systemctl daemon-reload || is_rolled_back=no
    systemctl reset-failed 'moorage-uploads.*' 'moorage-activity.*' 2>/dev/null
    if [ "$plan_slot_from" != - ]; then
        is_active "moorage-registry@$plan_slot_from" || systemctl start "moorage-registry@$plan_slot_from" ||
            is_rolled_back=no
    fi
    runs_nginx
    case $? in
    0)
        if nginx -t -q 2>/dev/null; then
            reload_nginx || is_rolled_back=no
        else
            say 'nginx keeps its running configuration: its files have errors outside of Moorage'
        fi
        ;;
    2) is_rolled_back=no ;;
    esac
    clear_sockets
    # From now on the new slot gets no more requests.
    if [ "$plan_slot_to" != "$plan_slot_from" ]; then
        if [ "$plan_slot_from" = - ]; then
            systemctl disable -q --now "moorage-registry@$plan_slot_to" 2>/dev/null
        else
            retire_slot "$plan_slot_to" 2>/dev/null
        fi
        systemctl reset-failed "moorage-registry@$plan_slot_to" 2>/dev/null
    fi
    restore_storage
    remove_additions
    if [ "$is_rolled_back" = no ]; then
        say 'the rollback is incomplete; the next apply repairs it'
    elif [ -n "$remaining" ]; then
        say "rolled back to the previous state, except that these remain: $remaining"
    else
        say 'rolled back to the previous state'
    fi
    [ -z "$remaining" ] || printf '@warning\tthe run added these and they remain: %s\n' "$remaining"
}

undo() {
    say 'the change failed on another server; undoing it here'
    rollback
    record undone
    remove_staged
    finish undone run_undone
}
