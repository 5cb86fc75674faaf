# Records what runs add to this server, and the previous state of its services; sourced by run.sh.
#
# The record is /var/lib/moorage/additions. It survives failed and killed runs, so that what they added is
# not mistaken for part of the original system: lines "package NAME VERSION", "account NAME", "folder
# PATH", "image NAME ENGINE BEFORE LOADED" with the IDs that a loaded image's name had before and has since,
# and, for services that Moorage starts, stops or masks, "unit NAME ENABLED ACTIVE".
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh
additions=$state/additions
noted_folders=

# Replaces the file by additions.new.
replace_additions() { sync -- "$additions.new" && mv -f -- "$additions.new" "$additions"; }

# note WORD...: records a line, unless it is already there.
note() {
    lines=
    add_line "$@"
    note_lines
}

# add_line WORD...: adds a line to $lines.
add_line() {
    lines=$lines${lines:+$newline}$1
    shift
    for word; do lines=$lines$tab$word; done
}

# note_lines: records the lines of $lines that are not there yet.
note_lines() {
    [ -n "$lines" ] || return 0
    known=$additions
    [ -e "$known" ] || known=/dev/null
    new_lines=$(printf '%s\n' "$lines" | grep -avxF -f "$known")
    case $? in
    0) ;;
    1) return 0 ;;
    *) new_lines=$lines ;;
    esac
    { printf '%s\n' "$new_lines" >>"$additions" && sync -- "$additions"; } || cannot_write "$additions"
}

# find_recorded KIND: sets $recorded to the lines of a kind.
find_recorded() { recorded=$newline$(grep -as "^$1$tab" "$additions"); }

# is_recorded KIND NAME: whether $recorded has a line of that kind and name.
is_recorded() { case "$recorded" in *"$newline$1$tab$2$tab"*) return 0 ;; *) return 1 ;; esac }

# read_unit NAME: sets $enabled and $active to a service's state; "-" means that it does not exist.
# Returns 1 if systemd does not answer.
read_unit() {
    enabled=- active=
    while IFS='=' read -r property state_of_unit; do
        case "$property" in
        UnitFileState) enabled=${state_of_unit:--} ;;
        ActiveState) active=$state_of_unit ;;
        esac
    done <<END
$(systemctl show -p UnitFileState -p ActiveState "$1" 2>/dev/null)
END
    [ -n "$active" ]
}

# Records the services that a run can start, stop or mask. A change of users does none of that.
note_units() {
    [ "$plan_records_additions" = yes ] || return 0
    # If the file is lost, start from the record in deployment.json.
    if [ ! -e "$additions" ]; then
        { cat plan/added >"$additions.new" && replace_additions; } || cannot_write "$additions"
    fi
    set -- nginx.service docker-registry.service
    case "$plan_engine" in
    docker) set -- "$@" docker.service docker.socket containerd.service ;;
    podman) set -- "$@" podman.service podman.socket podman-auto-update.timer podman-restart.service ;;
    esac
    if [ "$plan_challenge" != - ]; then set -- "$@" certbot.timer; fi
    find_recorded unit
    lines='' enabled=- active=
    # An empty line ends each service, including the last one.
    while IFS='=' read -r property state_of_unit; do
        case "$property" in
        UnitFileState) enabled=${state_of_unit:--} ;;
        ActiveState) active=$state_of_unit ;;
        '')
            [ -n "$active" ] || break
            printf '%s\t%s\t%s\n' "$1" "$enabled" "$active" >>units || cannot_write "$run/units"
            is_recorded unit "$1" || add_line unit "$1" "$enabled" "$active"
            enabled=- active=
            shift
            [ $# != 0 ] || break
            ;;
        esac
    done <<END
$(systemctl show -p UnitFileState -p ActiveState "$@" 2>/dev/null)

END
    [ $# = 0 ] || fail unit_state_unknown "$1"
    note_lines
}

list_packages() {
    # shellcheck disable=SC2016 # dpkg-query fills these in, not the shell
    dpkg-query -W -f '${db:Status-Status}\t${Package}\t${Version}\n' |
        sed -n "/^not-installed$tab\|^config-files$tab/!s/^[^$tab]*$tab//p"
}

# note_packages_since FILE: records the packages installed since list_packages wrote FILE, and adds
# their names to packages.new.
note_packages_since() {
    [ -s "$1" ] || return 0
    list_packages | awk -F "$tab" 'NR == FNR { had[$1]; next } !($1 in had)' "$1" - >packages.found ||
        cannot_write "$run/packages.found"
    find_recorded package
    lines=
    while IFS="$tab" read -r name version; do
        is_recorded package "$name" || add_line package "$name" "$version"
    done <packages.found
    note_lines
    cut -f 1 packages.found >>packages.new || cannot_write "$run/packages.new"
}

# note_packages_of RUN: records the packages of a run that was killed while it installed them, without those
# that an administrator has asked for since. Runs that got further have recorded theirs.
note_packages_of() {
    if [ "$(tail -n 1 "$1/step" 2>/dev/null)" != packages ] || [ ! -s "$1/packages.before" ]; then return 0; fi
    planned=$1/plan/packages
    [ -e "$planned" ] || planned=/dev/null
    # Without the list, any package could be an administrator's.
    asked_for=$(apt-mark showmanual) || return 0
    { cat "$1/packages.before" && printf '%s\n' "$asked_for" | { grep -vxF -f "$planned" || [ $? = 1 ]; }; } >before ||
        cannot_write "$run/before"
    note_packages_since before
}

# note_folders PATH...: records the folders that this run is about to create, and their missing parents.
note_folders() {
    lines=
    for folder; do find_missing "$folder"; done
    note_lines
}

# find_missing PATH: adds a folder that does not exist, and its missing parents, to $lines.
find_missing() {
    if [ -z "$1" ] || [ -d "$1" ]; then return 0; fi
    case "$newline$noted_folders" in *"$newline$1$newline"*) return 0 ;; esac
    find_missing "${1%/*}"
    add_line folder "$1"
    # The innermost comes first.
    noted_folders=$1$newline$noted_folders
}

# units_of PACKAGE...: prints the services, sockets, timers and paths that packages contain.
units_of() {
    dpkg -L "$@" 2>/dev/null |
        sed -n 's#^\(/usr\)\{0,1\}/lib/systemd/system/\([^/@]*\.\(service\|socket\|timer\|path\)\)$#\2#p' |
        sort -u
}

# Removes what this run added, except for packages, whose services are disabled.
remove_additions() {
    forget_programs
    remove_image
    if [ -s packages.new ]; then
        # shellcheck disable=SC2046 # one word a package
        units_of $(cat packages.new) >units.new
        # A masked service cannot be disabled, and would be enabled after unmasking.
        while read -r unit; do
            restore_mask "$unit"
            systemctl disable -q --now "$unit" 2>/dev/null
            systemctl reset-failed "$unit" 2>/dev/null
        done <units.new
    fi
    if [ -s units ]; then restore_units; fi
    remove_account
    remove_folders
    update_additions
}

# Only now, because an image cannot be removed while its container is running.
remove_image() {
    if [ "${changes_image:-no}" = no ] || [ -n "$image_before" ]; then return 0; fi
    if read_image "$plan_image" && [ -z "$image" ]; then return 0; fi
    "$plan_engine" rmi "$plan_image" >/dev/null 2>&1 && return 0
    noted_image=
    add_remaining "the image $plan_image"
}

# find_unit NAME: sets $was_enabled and $was_active to a service's state before the run, if recorded.
find_unit() {
    was_enabled='' was_active=''
    [ -s units ] || return 0
    while IFS="$tab" read -r name enabled active; do
        if [ "$name" = "$1" ]; then was_enabled=$enabled was_active=$active; fi
    done <units
}

# Unmasks a service, unless it came with this run's packages.
restore_mask() {
    find_unit "$1"
    case "$was_enabled" in '' | - | masked*) return 0 ;; esac
    read_unit "$1" || is_rolled_back=no
    case "$enabled" in masked*) systemctl unmask -q "$1" || is_rolled_back=no ;; esac
}

restore_units() {
    while IFS="$tab" read -r unit _; do restore_unit "$unit"; done <units
}

# restore_unit NAME: gives a service the state from before; sets $is_rolled_back to no if that fails.
restore_unit() {
    restore_mask "$1"
    read_unit "$1" || is_rolled_back=no
    case "$was_enabled:$enabled" in
    enabled:disabled) systemctl enable -q "$1" || is_rolled_back=no ;;
    disabled:enabled | -:enabled) systemctl disable -q "$1" || is_rolled_back=no ;;
    esac
    case "$was_active:$active" in
    active:active) ;;
    active:*) systemctl start "$1" || is_rolled_back=no ;;
    # A service that was starting or reloading counts as running.
    inactive:active | failed:active) systemctl stop "$1" || is_rolled_back=no ;;
    esac
}

remove_account() {
    [ "${added_account:-no}" = yes ] || return 0
    # Keep the account if images were pushed meanwhile: it owns them.
    if [ -d "$plan_storage_folder/docker" ]; then return 0; fi
    id -u "$plan_account" >/dev/null 2>&1 || return 0
    userdel "$plan_account" || is_rolled_back=no
}

remove_folders() {
    if [ "$plan_slot_from" = - ]; then
        # Files that nginx created for the site, which are empty or of no further use.
        rm -rf "${sockets:?}" /run/moorage /run/moorage-cache /run/moorage-guessers
        [ -s /var/log/nginx/moorage.log ] || rm -f /var/log/nginx/moorage.log
    fi
    while read -r folder; do
        [ -z "$folder" ] || rmdir -- "$folder" 2>/dev/null
    done <<END
$noted_folders
END
}

# Prints the lines for what was not removed.
remaining_additions() {
    while IFS="$tab" read -r kind name rest; do
        case "$kind" in
        package) ;;
        account) id -u "$name" >/dev/null 2>&1 || continue ;;
        folder) [ -d "$name" ] || continue ;;
        image) [ "$rest" != "${noted_image:-}" ] || continue ;;
        # Without a registry, the next run records the services again, except for packages' services.
        unit) [ "$plan_slot_from" != - ] || [ "${rest%%"$tab"*}" = - ] || continue ;;
        esac
        printf '%s\t%s%s\n' "$kind" "$name" "${rest:+$tab$rest}"
    done <"$additions"
}

# Removes the lines for what was removed, and collects the rest in $remaining.
update_additions() {
    if [ ! -e "$additions" ]; then return 0; fi
    left=$(remaining_additions)
    # If nothing changes, do not write, in case the disk is full.
    if [ "$left" != "$(cat "$additions")" ]; then
        { printf '%s' "${left:+$left
}" >"$additions.new" && replace_additions; } || is_rolled_back=no
    fi
    if [ -s packages.new ]; then
        add_remaining "the packages $(sort -u packages.new | tr '\n' ' ' | sed 's/ $//')"
        if grep -qx docker-registry packages.new; then add_remaining "the mask of docker-registry.service"; fi
    fi
    while read -r folder; do
        if [ -n "$folder" ] && [ -d "$folder" ]; then add_remaining "the folder $folder"; fi
    done <<END
$noted_folders
END
    if [ "${added_account:-no}" = yes ] && id -u "$plan_account" >/dev/null 2>&1; then
        add_remaining "the account $plan_account"
    fi
}

add_remaining() { remaining="${remaining:+$remaining, }$1"; }

# Prints the "added" line of deployment.json.
additions_as_json() {
    awk -F "$tab" '
        function text(value) {
            gsub(/\\/, "\\\\", value)
            gsub(/"/, "\\\"", value)
            return "\"" value "\""
        }
        function more(list, item) { return list (list == "" ? "" : ", ") item }
        $1 == "package" { packages = more(packages, text($2) ": " text($3)) }
        $1 == "account" { accounts = more(accounts, text($2)) }
        $1 == "folder" { folders = more(folders, text($2)) }
        END {
            printf "  \"added\": {\"packages\": {%s}, \"accounts\": [%s], \"folders\": [%s]},\n",
                packages, accounts, folders
        }
    ' "$additions"
}
