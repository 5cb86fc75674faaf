# Puts everything back as it was; read by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

rollback() {
    tick
    printf '@step\t%s\t%s\n' $((booted + now)) rollback
    say 'rolling back'
    is_rolled_back=yes stays=
    restore_files
    restore_image
    systemctl daemon-reload || is_rolled_back=no
    systemctl reset-failed 'moorage-uploads.*' 2>/dev/null
    if [ "$plan_slot_from" != - ]; then
        systemctl enable -q "moorage-registry@$plan_slot_from" || is_rolled_back=no
        is_active "moorage-registry@$plan_slot_from" || systemctl start "moorage-registry@$plan_slot_from" ||
            is_rolled_back=no
    fi
    runs_nginx
    case $? in
    0)
        if nginx -t -q 2>/dev/null; then
            reload_nginx || is_rolled_back=no
        else
            say 'nginx goes on with the configuration it has in memory: its files are broken elsewhere'
        fi
        ;;
    2) is_rolled_back=no ;;
    esac
    sh clear-sockets.sh
    # Only now is nobody sent to the new slot any more.
    if [ "$plan_slot_to" != "$plan_slot_from" ]; then
        if [ "$plan_slot_from" = - ]; then
            systemctl disable -q --now "moorage-registry@$plan_slot_to" 2>/dev/null
        else
            leave "$plan_slot_to" 2>/dev/null
        fi
        systemctl reset-failed "moorage-registry@$plan_slot_to" 2>/dev/null
    fi
    restore_storage
    remove_additions
    if [ "$is_rolled_back" = no ]; then
        say 'the rollback is incomplete; the next apply puts it right'
    elif [ -n "$stays" ]; then
        say "rolled back: everything is as it was before, except that these stay: $stays"
    else
        say 'rolled back: everything is as it was before'
    fi
    [ -z "$stays" ] || printf '@warning\tthe run added these and they stay: %s\n' "$stays"
}

undo() {
    say 'the change failed on another server; undoing it here'
    rollback
    record undone
    clear_beside
    finish undone run_undone
}
