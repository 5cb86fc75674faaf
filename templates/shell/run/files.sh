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
    [ "$digest" = "$1" ] || fail "$2 was changed by somebody else since the plan was made; plan again"
}

back_up() {
    mkdir -p backup
    while IFS="$tab" read -r number _ _ _ _ path; do
        if [ -e "$path" ] || [ -L "$path" ]; then
            cp -a -- "$path" "backup/$number" || fail "$path could not be backed up"
        else
            : >"backup/$number.absent" || fail "the backup could not be written"
        fi
    done <plan/files
    number=0
    while IFS="$tab" read -r _ path; do
        number=$((number + 1))
        cp -a -- "$path" "backup/removed.$number" || fail "$path could not be backed up"
    done <plan/removals
    back_up_certificate
}

# Puts back what back_up kept. What cannot be put back leaves the file rollback-failed.
restore_files() {
    while IFS="$tab" read -r number mode owner group _ path; do
        if [ -e "backup/$number" ] || [ -L "backup/$number" ]; then
            new=${path%/*}/.moorage.$number
            cp -a -- "backup/$number" "$new" && mv -fT -- "$new" "$path" || : >rollback-failed
        elif [ -e "backup/$number.absent" ]; then
            rm -f -- "$path"
        fi
    done <plan/files
    number=0
    while IFS="$tab" read -r _ path; do
        number=$((number + 1))
        if [ -e "backup/removed.$number" ]; then
            cp -a -- "backup/removed.$number" "$path" || : >rollback-failed
        fi
    done <plan/removals
    restore_certificate
}

make_folders() {
    while IFS="$tab" read -r mode owner group path; do
        if [ "$path" = "$plan_storage_folder" ]; then adopt_storage "$owner" "$path"; fi
        # The run's umask is strict; folders on the way to this one are for everybody.
        (umask 022 && mkdir -p -- "$(dirname "$path")") || fail "the folder above $path could not be made"
        install -d -m "$mode" -o "$owner" -g "$group" -- "$path" || fail "the folder $path could not be made"
    done <plan/folders
}

# place NUMBER MODE OWNER GROUP PATH FROM: puts a file in its place in one step.
place() {
    for stale in "${5%/*}"/.moorage.*; do
        if [ -e "$stale" ] || [ -L "$stale" ]; then rm -f -- "$stale"; fi
    done
    new=${5%/*}/.moorage.$1
    install -T -m "$2" -o "$3" -g "$4" -- "$6" "$new" && mv -fT -- "$new" "$5"
}

# place_files PATTERN [EXCEPT]: the files whose path matches, in the plan's order.
place_files() {
    while IFS="$tab" read -r number mode owner group _ path; do
        # shellcheck disable=SC2254 # patterns are wanted
        case "$path" in ${2:-}) continue ;; $1) ;; *) continue ;; esac
        place "$number" "$mode" "$owner" "$group" "$path" "content/$number" ||
            fail "$path could not be written"
    done <plan/files
}

remove_files() {
    while IFS="$tab" read -r _ path; do rm -f -- "$path"; done <plan/removals
}

# All that was placed has to survive a power cut. Where only nginx's files changed, only they are new.
make_durable() {
    if [ "$plan_slot_to" = "$plan_slot_from" ]; then sync /etc/nginx/moorage /etc/nginx/moorage/*; else sync; fi
}

record() {
    cp plan/deployment.json deployment.json
    if [ "$plan_checks_version" = yes ]; then
        sed -i "s/@REGISTRY_VERSION@/$(cat registry-version 2>/dev/null)/" deployment.json
    fi
    place record 600 root root /etc/moorage/deployment.json deployment.json ||
        fail "/etc/moorage/deployment.json could not be written"
}

# Ten runs are kept, but of those that died nothing secret. They are told from running ones by their
# free lock; a run that ended by itself has tidied up.
forget_old_runs() {
    # Names sort by time.
    set -- "$state"/runs/*
    while [ $# -gt 10 ]; do
        rm -rf "$1"
        shift
    done
    for old; do
        if [ "$old" = "$run" ] || [ -e "$old/result" ]; then continue; fi
        flock -n "$old/lock" true || continue
        rm -rf "$old/content" "$old/hooks" "$old/backup" "$old/image.tar" "$old/hook.out"
        printf 'interrupted\nit ended without a result while doing: %s\n' \
            "$(cat "$old/step" 2>/dev/null)" >"$old/result"
    done
}
