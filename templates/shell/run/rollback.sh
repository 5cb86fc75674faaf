# Puts everything back as it was; read by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

rollback() {
    tick
    printf '@step\t%s\t%s\n' $((booted + now)) rollback
    say 'rolling back'
    rm -rf rollback-failed
    restore_files
    restore_image
    systemctl daemon-reload
    if [ "$plan_slot_from" != - ]; then
        systemctl enable -q "moorage-registry@$plan_slot_from"
        systemctl is-active -q "moorage-registry@$plan_slot_from" || systemctl start "moorage-registry@$plan_slot_from"
    fi
    if systemctl is-active -q nginx; then
        if nginx -t -q 2>/dev/null; then
            reload_nginx || : >rollback-failed
        else
            say 'nginx goes on with the configuration it has in memory: its files are broken elsewhere'
        fi
    fi
    sh clear-sockets.sh
    # Only now is nobody sent to the new slot any more.
    if [ "$plan_slot_to" != "$plan_slot_from" ]; then
        drain "$plan_slot_to" 10
        systemctl disable -q --now "moorage-registry@$plan_slot_to" 2>/dev/null
        systemctl reset-failed "moorage-registry@$plan_slot_to" 2>/dev/null
    fi
    restore_storage
    if [ -e rollback-failed ]; then
        say 'the rollback is incomplete; the next apply puts it right'
    else
        say 'rolled back: everything is as it was before'
    fi
}

undo() {
    say 'another server did not manage it: undoing the change'
    rollback
    mv plan/undone.json plan/deployment.json
    record
    finish undone 'another server did not manage it'
}
