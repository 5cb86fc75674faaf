# Checks, backs up, installs and restores the files of a run; sourced by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

# nginx reads password files on every request, so they are installed only at the switch.
passwords='/etc/nginx/moorage/htpasswd*'

# take_digest PATH: sets $digest to the file's digest, or the link target's; - if it does not exist.
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
    # Any other run since the plan has changed this record.
    expected=
    check_unchanged "$plan_recorded" /etc/moorage/deployment.json
    while IFS="$tab" read -r _ _ _ _ old path; do check_unchanged "$old" "$path"; done <plan/files
    while IFS="$tab" read -r old path; do check_unchanged "$old" "$path"; done <plan/removals
    [ -n "$expected" ] || return 0
    changed=$(printf '%s' "$expected" | sha256sum --check --strict --quiet 2>/dev/null) ||
        fail changed_meanwhile "${changed%%: FAILED*}"
}

# check_unchanged DIGEST PATH: fails if a file has changed since the plan was created; adds regular files to
# $expected, to be compared all at once.
check_unchanged() {
    if [ "$1" != - ] && [ -f "$2" ] && [ ! -L "$2" ]; then
        expected="$expected$1  $2$newline"
        return
    fi
    take_digest "$2"
    [ "$digest" = "$1" ] || fail changed_meanwhile "$2"
}

back_up() {
    remove_staged
    note_units
    back_up_certificate
}

# Removes temporary files of earlier runs, including those for files that this run does not change.
remove_staged() {
    set -- /etc/moorage/registry/blue /etc/moorage/registry/green /etc/nginx/moorage /etc/nginx/conf.d \
        /etc/moorage "$tls_folder"
    [ "$plan_storage_folder" = - ] || set -- "$@" "$plan_storage_folder"
    while IFS="$tab" read -r _ _ _ _ _ path; do set -- "$@" "${path%/*}"; done <plan/files
    while IFS="$tab" read -r _ path; do set -- "$@" "${path%/*}"; done <plan/removals
    # Replace each folder with its temporary files.
    for folder; do
        shift
        set -- "$@" "$folder"/.moorage.*
    done
    for each; do
        if [ -e "$each" ] || [ -L "$each" ]; then
            rm -f -- "$@"
            return
        fi
    done
}

make_folders() {
    set --
    while IFS="$tab" read -r _ _ _ path; do set -- "$@" "$path"; done <plan/folders
    note_folders "$@"
    while IFS="$tab" read -r mode owner group path; do
        if [ "$path" = "$plan_storage_folder" ]; then adopt_storage "$owner" "$path"; fi
        # Parent folders are world-readable, despite the run's strict umask.
        [ -d "${path%/*}/" ] || (umask 022 && mkdir -p -- "${path%/*}/") || fail cannot_create "the folder above $path"
        install -d -m "$mode" -o "$owner" -g "$group" -- "$path" || fail cannot_create "the folder $path"
    done <plan/folders
}

# All new files are written next to their targets first and then renamed, so that a full disk is noticed
# while there is nothing to undo, and a crash leaves every file intact. The replaced files are kept next
# to them until the run is over, so that restoring them takes no disk space.

# stage NUMBER MODE OWNER GROUP PATH FROM: writes a file next to its target; sets $new to its path.
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
    # Written now: a run that cannot write its result would count as interrupted.
    printf 'done\n\n' >result.new || cannot_write "$run/result"
    sync -- "$@" result.new || fail cannot_sync
}

# put_in_place NUMBER PATH: installs a staged file and keeps the replaced file next to it.
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

# place_files PATTERN [EXCEPT]: installs the files whose path matches, in the plan's order.
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
    restore_programs
    placed=' '
    restore_certificate
}

# place NUMBER MODE OWNER GROUP PATH FROM: installs a single file.
place() {
    stage "$@"
    { sync -- "$new" && mv -fT -- "$new" "$5"; } || cannot_write "$5"
}

# Packages and images must be on disk before the old slot is left, in case of a power cut.
make_durable() {
    if [ "$plan_slot_to" != "$plan_slot_from" ]; then sync || fail cannot_sync; fi
}

# stage_record: writes the new deployment.json, like all files before the switch.
stage_record() {
    if [ -e plan/undone.json ]; then
        stage undone 600 root root /etc/moorage/deployment.json plan/undone.json
    fi
    registry_version='' registry_program=$program
    { read -r registry_version; } 2>/dev/null <registry-version
    if [ "$plan_engine" = - ]; then registry_program=$program_package; fi
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

# was_refused RUN: whether a run ended before it could change anything.
was_refused() {
    ended='' begun=''
    { read -r ended; } 2>/dev/null <"$1/result"
    [ "$ended" != locked ] || return 0
    case "$ended" in '' | "done") return 1 ;; esac
    while read -r line; do begun=$line; done 2>/dev/null <"$1/step"
    case "$begun" in '' | wait | recheck | hooks-before) return 0 ;; *) return 1 ;; esac
}

# is_starting RUN: whether a run is still being sent, or has not taken its own lock yet.
is_starting() {
    if [ -e "$1/step" ] || [ -e "$1/result" ] || [ ! -e "$1/sending" ]; then return 1; fi
    ! flock -n "$1/sending" true
}

# forget_runs RUN...: removes all of them except the last ten.
forget_runs() {
    while [ $# -gt 10 ]; do
        # A run that collects images can be waiting meanwhile.
        if [ "$1" != "$run" ] && ! is_starting "$1" && flock -n "$1/lock" true; then rm -rf "$1"; fi
        shift
    done
}

# Keeps the last ten runs, and the last ten that were refused (those by the schedule remove old ones
# themselves); removes secrets of killed runs. A killed
# run has no result and its lock is free; all others have removed their secrets themselves.
forget_old_runs() {
    # Names sort by time, according to the clocks of the operators' machines.
    set --
    for old in "$state"/runs/*; do if was_refused "$old" && [ ! -e "$old/scheduled" ]; then set -- "$@" "$old"; fi; done
    forget_runs "$@"
    set --
    for old in "$state"/runs/*; do if ! was_refused "$old" && [ ! -e "$old/scheduled" ]; then set -- "$@" "$old"; fi; done
    forget_runs "$@"
    for old in "$state"/runs/*; do
        if [ "$old" = "$run" ] || [ -e "$old/result" ] || is_starting "$old"; then continue; fi
        flock -n "$old/lock" true || continue
        rm -rf "$old/content" "$old/hooks" "$old/backup" "$old/image.tar" "$old/image-login" "$old/hook.out" "$old/login" "$old/request"
        note_packages_of "$old"
        printf 'interrupted\nrun_interrupted\n%s\n' "$(tail -n 1 "$old/step" 2>/dev/null)" >"$old/killed" ||
            cannot_write "$old/result"
        # A run that is only starting has no lock yet, and writes a result of its own.
        ln "$old/killed" "$old/result" 2>/dev/null || [ -e "$old/result" ] || cannot_write "$old/result"
        rm -f "$old/killed"
    done
}
