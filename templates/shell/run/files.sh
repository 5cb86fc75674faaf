# The files a run changes: looks at them again, backs them up, puts them in place; read by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

# nginx reads password files at every request: they are placed when everything else is switched.
passwords='/etc/nginx/moorage/htpasswd*'

# Sets $digest to that of what PATH holds; of a link, of where it points; - if there is nothing.
take_digest() {
    if [ -L "$1" ]; then
        digest=$(printf '%s' "$(readlink -- "$1")" | sha256sum)
    elif [ -f "$1" ]; then
        digest=$(sha256sum <"$1")
    else
        digest=-
    fi
    digest=${digest%% *}
}

recheck() {
    # Whatever else was done here meanwhile has recorded it.
    must_be "$plan_recorded" /etc/moorage/deployment.json
    while IFS="$tab" read -r _ _ _ _ old path; do must_be "$old" "$path"; done <plan/files
    while IFS="$tab" read -r old path; do must_be "$old" "$path"; done <plan/removals
}

# must_be DIGEST PATH: a file has to be as it was when the plan was made.
must_be() {
    take_digest "$2"
    [ "$digest" = "$1" ] || fail changed_meanwhile "$2"
}

back_up() {
    mkdir -p backup || cannot_write "$run/backup"
    clear_beside
    note_units
    back_up_certificate
}

# Removes what runs left beside the places of files, also of those that this run does not change.
clear_beside() {
    for folder in /etc/moorage/registry/blue /etc/moorage/registry/green /etc/nginx/moorage /etc/nginx/conf.d; do
        clear_folder "$folder"
    done
    while IFS="$tab" read -r _ _ _ _ _ path; do clear_folder "${path%/*}"; done <plan/files
    while IFS="$tab" read -r _ path; do clear_folder "${path%/*}"; done <plan/removals
    clear_folder /etc/moorage
    clear_folder "$tls_folder"
    [ "$plan_storage_folder" = - ] || clear_folder "$plan_storage_folder"
}

clear_folder() {
    set -- "$1"/.moorage.*
    if [ -e "$1" ] || [ -L "$1" ]; then rm -f -- "$@"; fi
}

make_folders() {
    while IFS="$tab" read -r mode owner group path; do
        if [ "$path" = "$plan_storage_folder" ]; then adopt_storage "$owner" "$path"; fi
        note_folder "$path"
        # The run's umask is strict; folders on the way to this one are for everybody.
        (umask 022 && mkdir -p -- "$(dirname "$path")") || fail cannot_create "the folder above $path"
        install -d -m "$mode" -o "$owner" -g "$group" -- "$path" || fail cannot_create "the folder $path"
    done <plan/folders
}

# Files are written beside their places, all of them before the first takes its place, and take it by a
# rename. So a disk that fills up is noticed while there is nothing to undo, and a machine that stops
# leaves each file whole. What is replaced stays beside its place until the run is over: putting it
# back takes no room on the disk.

# stage NUMBER MODE OWNER GROUP PATH FROM: writes a file beside its place; sets $new to where.
stage() {
    new=${5%/*}/.moorage.new.$1
    install -T -m "$2" -o "$3" -g "$4" -- "$6" "$new" || cannot_write "$5"
}

stage_files() {
    stage_record
    set -- "$new"
    while IFS="$tab" read -r number mode owner group _ path; do
        stage "$number" "$mode" "$owner" "$group" "$path" "content/$number"
        set -- "$@" "$new"
    done <plan/files
    # A run that could not say that it is done would count as interrupted.
    printf 'done\n\n' >result.new || cannot_write "$run/result"
    sync -- "$@" result.new || fail cannot_sync
}

# put_in_place NUMBER PATH: a staged file takes its place; the file it replaces stays beside it.
put_in_place() {
    new=${2%/*}/.moorage.new.$1
    [ -e "$new" ] || return 0
    placed="$placed$1 "
    if [ -e "$2" ] || [ -L "$2" ]; then
        ln -PT -- "$2" "${2%/*}/.moorage.old.$1" || cannot_write "$2"
    fi
    mv -fT -- "$new" "$2" || cannot_write "$2"
}
placed=' '

# place_files PATTERN [EXCEPT]: the files whose path matches, in the plan's order.
place_files() {
    while IFS="$tab" read -r number _ _ _ _ path; do
        # shellcheck disable=SC2254 # patterns are wanted
        case "$path" in ${2:-}) continue ;; $1) put_in_place "$number" "$path" ;; esac
    done <plan/files
}

remove_files() {
    number=0
    while IFS="$tab" read -r _ path; do
        number=$((number + 1))
        [ -e "$path" ] || [ -L "$path" ] || continue
        mv -fT -- "$path" "${path%/*}/.moorage.old.removed.$number" || cannot_write "$path"
    done <plan/removals
}

# put_back NUMBER PATH: undoes what stage and put_in_place did.
put_back() {
    new=${2%/*}/.moorage.new.$1
    old=${2%/*}/.moorage.old.$1
    if [ -e "$new" ]; then
        rm -f -- "$new" "$old"
        return
    fi
    case "$placed" in *" $1 "*) ;; *) return 0 ;; esac
    if [ -e "$old" ] || [ -L "$old" ]; then
        mv -fT -- "$old" "$2" || is_rolled_back=no
    else
        rm -f -- "$2" || is_rolled_back=no
    fi
}

restore_files() {
    while IFS="$tab" read -r number _ _ _ _ path; do put_back "$number" "$path"; done <plan/files
    number=0
    while IFS="$tab" read -r _ path; do
        number=$((number + 1))
        old=${path%/*}/.moorage.old.removed.$number
        if [ -e "$old" ] || [ -L "$old" ]; then mv -fT -- "$old" "$path" || is_rolled_back=no; fi
    done <plan/removals
    put_back record /etc/moorage/deployment.json
    placed=' '
    restore_certificate
}

# place NUMBER MODE OWNER GROUP PATH FROM: puts a single file in its place.
place() {
    stage "$@"
    { sync -- "$new" && mv -fT -- "$new" "$5"; } || cannot_write "$5"
}

# What packages and images wrote has to survive a power cut, too, before the old slot is left.
make_durable() {
    if [ "$plan_slot_to" != "$plan_slot_from" ]; then sync || fail cannot_sync; fi
}

# stage_record: deployment.json is written before the switch, like all files.
stage_record() {
    if [ -e plan/undone.json ]; then
        stage undone 600 root root /etc/moorage/deployment.json plan/undone.json
    fi
    registry_version=
    { read -r registry_version; } 2>/dev/null <registry-version
    if [ "$plan_records_additions" = yes ]; then
        additions_as_json >added.json || cannot_write "$run/added.json"
    elif [ "$plan_checks_version" != yes ]; then
        stage record 600 root root /etc/moorage/deployment.json plan/deployment.json
        return 0
    fi
    sed -e "s/@REGISTRY_VERSION@/$registry_version/" -e "s/@REGISTRY_PROGRAM@/$registry_program/" \
        -e '/^  "added": "@ADDED@"/{' -e 'r added.json' -e 'd' -e '}' \
        plan/deployment.json >deployment.json || cannot_write "$run/deployment.json"
    stage record 600 root root /etc/moorage/deployment.json deployment.json
}

record() {
    put_in_place "${1:-record}" /etc/moorage/deployment.json
    sync -- /etc/moorage /etc/nginx/moorage || fail cannot_sync
}

# Ten runs are kept, but of those that died nothing secret. They are told from running ones by their
# free lock; a run that ended by itself has tidied up.
forget_old_runs() {
    # Names sort by time, by the clocks of those who began them.
    set -- "$state"/runs/*
    while [ $# -gt 10 ]; do
        [ "$1" = "$run" ] || rm -rf "$1"
        shift
    done
    for old; do
        if [ "$old" = "$run" ] || [ -e "$old/result" ]; then continue; fi
        flock -n "$old/lock" true || continue
        rm -rf "$old/content" "$old/hooks" "$old/backup" "$old/image.tar" "$old/hook.out" "$old/login" "$old/request"
        # One that came further has noted them itself.
        if [ "$(tail -n 1 "$old/step" 2>/dev/null)" = packages ]; then note_packages_since "$old/packages.before"; fi
        {
            printf 'interrupted\nrun_interrupted\n%s\n' \
                "$(tail -n 1 "$old/step" 2>/dev/null)" >"$old/result.new" && mv "$old/result.new" "$old/result"
        } || cannot_write "$old/result"
    done
}
