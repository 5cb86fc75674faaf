# Stops what runs, and removes Moorage's files; sourced by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

# The images are deleted only if they are those of the plan.
recheck_images() {
    [ "$plan_images" = delete ] || return 0
    [ ! -L "$plan_storage_folder" ] || fail storage_is_link "$plan_storage_folder"
    if [ ! -d "$plan_storage_folder" ]; then return 0; fi
    recheck_store
}

# Files that were changed since Moorage wrote them, or that others added, can be an administrator's work.
keep_copies() {
    while IFS= read -r path; do
        if [ -L "$path" ] || [ ! -f "$path" ] || is_of_a_run "$path"; then continue; fi
        install -d -m 700 "$plan_backup" || cannot_write "$plan_backup"
        (cd / && cp -p --parents -- "${path#/}" "$plan_backup") || cannot_write "$plan_backup"
        say "kept a copy of $path"
    done <plan/copied
    [ -d "$plan_backup" ] || return 0
    sync -- "$plan_backup"
    warn "copies of modified and foreign files are in $plan_backup"
}

# is_of_a_run PATH: whether a run that was interrupted, and so did not record it, wrote a file as it is.
is_of_a_run() {
    for files in /var/lib/moorage/runs/*/plan/files; do
        if [ ! -f "$files" ] || [ -e "${files%/plan/files}/result" ]; then continue; fi
        while IFS="$tab" read -r number _ _ _ _ written; do
            if [ "$written" = "$1" ] && cmp -s -- "${files%/plan/files}/content/$number" "$1"; then return 0; fi
        done <"$files"
    done
    return 1
}

# The units that are enabled or run on their own. systemd is reloaded when the files are gone.
stop_timers() {
    for unit in collect uploads activity; do
        systemctl disable -q --now --no-reload "moorage-$unit.timer" 2>/dev/null
        systemctl stop "moorage-$unit.service" 2>/dev/null
    done
}

# nginx stops sending requests before the registry stops; its other sites stay.
leave_nginx() {
    while IFS= read -r path; do
        case "$path" in /etc/nginx/*) rm -rf -- "$path" || fail cannot_remove "$path" ;; esac
    done <plan/paths
    runs_nginx
    case $? in
    1) return 0 ;;
    2) fail unit_state_unknown nginx ;;
    esac
    if nginx -t -q 2>nginx.log; then
        reload_nginx || fail nginx_not_reloaded "$(why_reload)"
    else
        printf '@warning\tnginx still serves the registry until it is reloaded: its files have errors outside of Moorage: %s\n' "$(cause <nginx.log)"
    fi
}

stop_registry() {
    for slot in blue green; do
        systemctl stop "moorage-drain-$slot" 2>/dev/null
        systemctl disable -q --now --no-reload "moorage-registry@$slot" 2>/dev/null
        is_active "moorage-registry@$slot"
        [ $? = 1 ] || fail registry_not_stopped "$slot"
        for engine in docker podman; do
            if command -v "$engine" >/dev/null; then "$engine" rm -f -v "moorage-registry-$slot" >/dev/null 2>&1; fi
        done
    done
}

# Only what the registry and Moorage have put there.
delete_images() {
    if [ ! -d "$plan_storage_folder" ]; then return 0; fi
    rm -rf --one-file-system -- "${plan_storage_folder:?}/docker/registry" "${plan_storage_folder:?}/${plan_trash:?}" ||
        fail cannot_remove "$plan_storage_folder"
    rmdir -- "$plan_storage_folder/docker" 2>/dev/null
    # shellcheck disable=SC2010 # only whether there is anything else
    if [ -n "$(ls -A "$plan_storage_folder" | grep -vx 'lost+found\|\.moorage-store' | head -n 1)" ]; then
        printf '@warning\t%s has other files, which stay\n' "$plan_storage_folder"
    fi
}

remove_files_and_units() {
    while IFS= read -r path; do
        if [ -e "$path" ] || [ -L "$path" ]; then rm -rf -- "$path" || fail cannot_remove "$path"; fi
        # What an apply that was killed had staged or replaced.
        for each in "${path%/*}"/.moorage.new.* "${path%/*}"/.moorage.old.*; do
            if [ -e "$each" ] || [ -L "$each" ]; then rm -f -- "$each"; fi
        done
    done <plan/paths
    # Not the whole folder: images can be in it, also those that an earlier deployment left.
    rm -rf -- "${state:?}/deployments" "$state/activity" "$state/collection" "$state/seen" "$state/acme" "$state/check"
    # The service that notes pushes and pulls runs under an account of systemd's own.
    rm -rf /var/lib/private/moorage/activity
    rmdir /var/lib/private/moorage 2>/dev/null
    # Others can have files in these folders, too.
    for folder in /etc/systemd/system/nginx.service.d /etc/systemd/system/certbot.service.d \
        /etc/needrestart/conf.d /etc/needrestart/restart.d /etc/needrestart \
        /usr/local/lib/moorage; do
        rmdir -- "$folder" 2>/dev/null
    done
    rm -f /var/log/nginx/moorage.log /var/log/nginx/moorage.log.*
    systemctl daemon-reload
    systemctl reset-failed 'moorage-registry@*' 'moorage-collect.*' 'moorage-uploads.*' 'moorage-activity.*' \
        'moorage-recover.*' 2>/dev/null
}

# The tags that held the registry's images. Podman lists all names of the images that it finds.
remove_held_images() {
    for engine in docker podman; do
        answers "$engine" || continue
        for each in $("$engine" images --format '{{.Repository}}:{{.Tag}}' | grep '^localhost/moorage-registry:'); do
            "$engine" rmi "$each" >/dev/null 2>&1 || warn "the image $each stays: something else uses it"
        done
    done
}
