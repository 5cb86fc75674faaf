# The program of each slot: a copy that only runs replace; sourced by run.sh.
#
# A slot's program.env names it: a file named after its digest, or an image by its ID, which a tag of
# Moorage's holds. So no package update, moved tag, crash or reboot changes what a slot runs.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

programs=/usr/local/lib/moorage/programs
held_images=localhost/moorage-registry
packaged=/usr/bin/docker-registry
# See read_program.
program='' program_name='' program_package=''
# Whether the new slot runs another program than the active one.
takes_program=no

# env_of SLOT: sets $env to the path of a slot's program.env.
env_of() { env=/etc/moorage/registry/$1/program.env; }

# read_program SLOT: sets $program to the path or image ID of a slot's program, $program_name to the image's
# name and $program_package to the package's version; empty if unknown.
read_program() {
    env_of "$1"
    read_program_in "$env"
}

# read_program_in FILE: likewise, from a file such as program.env.
read_program_in() {
    program='' program_name='' program_package=''
    while IFS='=' read -r name value; do
        value=${value#\"} value=${value%\"}
        case "$name" in
        MOORAGE_PROGRAM | MOORAGE_IMAGE) program=$value ;;
        MOORAGE_IMAGE_NAME) program_name=$value ;;
        MOORAGE_PACKAGE_VERSION) program_package=$value ;;
        esac
    done 2>/dev/null <"$1"
}

# write_program SLOT VERSION: writes program.env for $program, and keeps the replaced file until the run ends.
write_program() {
    {
        echo '# Written by Moorage. The program that this slot runs; only an apply or upgrade changes it.'
        if [ "$plan_engine" = - ]; then
            printf 'MOORAGE_RUNTIME="package"\nMOORAGE_PROGRAM="%s"\n' "$program"
        else
            printf 'MOORAGE_RUNTIME="%s"\nMOORAGE_IMAGE="%s"\nMOORAGE_IMAGE_NAME="%s"\n' \
                "$plan_engine" "$program" "$program_name"
        fi
        printf 'MOORAGE_PROGRAM_VERSION="%s"\nMOORAGE_PACKAGE_VERSION="%s"\n' "$2" "$program_package"
    } >"program.$1" || cannot_write "$run/program.$1"
    env_of "$1"
    stage "program.$1" 644 root root "$env" "program.$1"
    sync -- "$new" || fail cannot_sync
    put_in_place "program.$1" "$env"
}

# For the rollback.
restore_programs() {
    for slot in blue green; do
        env_of "$slot"
        put_back "program.$slot" "$env"
    done
}

# Chooses the program of the new slot: that of the active slot, unless the plan takes another one.
choose_program() {
    before=
    if [ "$plan_program" = keep ]; then
        read_program "$plan_slot_from"
        before=$program
        if [ "$plan_engine" = - ]; then keep_program; else keep_image; fi
    elif [ "$plan_program" = restore ]; then
        restore_program
    elif [ "$plan_engine" = - ]; then
        take_package
    else
        take_image
    fi
    check_version
}

# Names the chosen program for the new slot. A slot from before programs were kept gets its own as well,
# because the unit, which both slots use, runs what program.env names.
place_program() {
    write_program "$plan_slot_to" "$found"
    if [ "$plan_program" = keep ] && [ -z "$before" ]; then write_program "$plan_slot_from" "$found"; fi
}

# A kept deployment names its program, so that it is still there.
restore_program() {
    read_program "$plan_slot_from"
    before=$program
    read_program_in plan/program
    [ "$program" = "$before" ] || takes_program=yes
    if [ "$plan_engine" != - ]; then
        hold_image
    elif ! is_whole "$program"; then
        fail program_missing "$program"
    fi
}

take_package() {
    takes_program=yes
    program_package=$(dpkg_version)
    keep_copy "$packaged"
}

# shellcheck disable=SC2016 # dpkg-query fills this in
dpkg_version() { dpkg-query -W -f '${Version}' docker-registry 2>/dev/null; }

take_image() {
    takes_program=yes
    read_image "$plan_image" || fail image_state_unknown "$plan_engine"
    program=$image program_name=$plan_image
    hold_image
}

# Restores the active slot's program if it is missing or damaged; then it can still be running, or installed.
keep_program() {
    if [ -z "$program" ]; then
        find_running
        keep_copy "$running"
        # After an update, the process still runs the version before, which dpkg no longer knows.
        if cmp -s "$program" "$packaged"; then program_package=$(dpkg_version); fi
        return
    fi
    if is_whole "$program"; then return 0; fi
    find_running
    for source in "$running" "$packaged"; do
        digest=$(sha256sum <"$source")
        if [ "${digest%% *}" = "${program##*/}" ]; then keep_copy "$source" && return 0; fi
    done
    printf '@warning\t%s was missing or damaged; the slot runs the installed docker-registry instead\n' "$program"
    take_package
}

# Sets $running to the program that the active slot's process runs; even if its file was removed or
# replaced, the kernel has it.
find_running() {
    running=/proc/$(systemctl show -p MainPID --value "moorage-registry@$plan_slot_from")/exe
    [ -r "$running" ] || running=$packaged
}

keep_image() {
    if [ -z "$program" ]; then
        program_name=$plan_image
        program=$("$plan_engine" inspect --format '{{.Image}}' "moorage-registry-$plan_slot_from" 2>/dev/null) ||
            program=$(image_id "$plan_image")
        program=${program:+sha256:${program#sha256:}}
    fi
    hold_image
}

# The tag keeps the image when unused ones are removed.
hold_image() {
    answer=$("$plan_engine" tag "$program" "$(holding_tag "$program")" 2>&1) || fail image_not_kept "$program_name" "$answer"
}

# holding_tag ID: the tag that holds an image.
holding_tag() {
    set -- "${1#sha256:}"
    printf '%s:%.12s' "$held_images" "$1"
}

# is_whole PATH: whether a kept program has the content that its name says.
is_whole() {
    if [ -L "$1" ] || [ ! -f "$1" ]; then return 1; fi
    digest=$(sha256sum <"$1")
    [ "${digest%% *}" = "${1##*/}" ]
}

# keep_copy PATH: keeps a copy of a program, and sets $program to it.
keep_copy() {
    note_folders "$programs"
    (umask 022 && mkdir -p -- "$programs") || fail cannot_create "the folder $programs"
    copy=$programs/.moorage.new
    rm -f -- "$copy"
    { cat <"$1" >"$copy" && chmod 755 "$copy" && sync -- "$copy"; } || cannot_write "$copy"
    cmp -s -- "$1" "$copy" || cannot_write "$copy"
    digest=$(sha256sum <"$copy") || cannot_write "$copy"
    program=$programs/${digest%% *}
    { mv -fT -- "$copy" "$program" && sync -- "$programs"; } || cannot_write "$program"
}

# Before it gets a request, a program that is new here has to read images that are stored.
prove() {
    timeout 120 python3 prove.py "$sockets/$plan_slot_to/registry.sock" "$sockets/$plan_slot_from/registry.sock" \
        "$plan_storage_folder" >prove.log 2>&1
    case $? in
    0) cat prove.log ;;
    3)
        IFS="$tab" read -r image reason <prove.log
        fail images_not_readable "$image" "$reason"
        ;;
    *) fail program_not_proven "$(tail -n 1 prove.log)" ;;
    esac
}

# Removes the programs and images that neither a slot nor a kept deployment names.
forget_programs() {
    set --
    for env in /etc/moorage/registry/*/program.env "$state"/deployments/*/program.env; do
        if [ -e "$env" ]; then set -- "$@" "$env"; fi
    done
    # If one cannot be read, nothing is known to be unused.
    named=$(cat /dev/null "$@") || return 0
    set -- "$programs/.moorage.new"
    for each in "$programs"/*; do
        case "$named" in *"\"$each\""*) ;; *) set -- "$@" "$each" ;; esac
    done
    rm -f -- "$@"
    for engine in docker podman; do
        command -v "$engine" >/dev/null || continue
        for each in $("$engine" images --no-trunc --format '{{.ID}}' "$held_images" 2>/dev/null); do
            case "$named" in *"\"sha256:${each#sha256:}\""*) ;; *) "$engine" rmi "$(holding_tag "$each")" >/dev/null 2>&1 ;; esac
        done
    done
}
