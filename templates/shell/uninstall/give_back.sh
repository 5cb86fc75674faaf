# Gives the server back as it was before the first run, according to /var/lib/moorage/additions; sourced by
# run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

# noted KIND: prints the names of what runs added, or of units.
noted() { sed -n "s/^$1$tab\([^$tab]*\).*/\1/p" "$additions" 2>/dev/null; }

# shellcheck disable=SC2016 # dpkg-query fills this in
is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Whether nginx has files of others. The default site of a package that a run installed is nobody's, unless
# it was edited.
serves_other_sites() {
    for each in /etc/nginx/conf.d/*.conf /etc/nginx/sites-enabled/* /etc/nginx/streams-enabled/*; do
        [ -e "$each" ] || continue
        if [ "$each" = /etc/nginx/sites-enabled/default ] && noted package | grep -qx 'nginx\(-common\)\{0,1\}' &&
            ! dpkg -V nginx-common 2>/dev/null | grep -q sites-available/default; then
            continue
        fi
        return 0
    done
    return 1
}

# has_other_containers ENGINE: whether a container engine has containers or images of others.
has_other_containers() {
    command -v "$1" >/dev/null || return 1
    if [ "$1" = docker ] && ! systemctl is-active -q docker; then return 0; fi
    [ -n "$("$1" ps -aq 2>/dev/null)" ] || [ -n "$("$1" images -q 2>/dev/null)" ]
}

# Puts the packages to remove into "removed": those that runs installed and that nothing else uses.
choose_packages() {
    true >removed
    [ "$plan_packages" = remove ] || return 0
    for package in $(noted package); do
        is_installed "$package" || continue
        why=
        case "$package" in
        nginx | nginx-* | libnginx-*) if serves_other_sites; then why='nginx serves other sites'; fi ;;
        docker.io | containerd | runc) if has_other_containers docker; then why='docker has other images or containers'; fi ;;
        podman | crun | conmon) if has_other_containers podman; then why='podman has other images or containers'; fi ;;
        esac
        if [ -n "$why" ]; then
            say "package $package stays: $why"
            continue
        fi
        printf '%s\n' "$package" >>removed
    done
    keep_needed
}

# Removes packages from the list without which others would go, too, until it takes none but its own.
keep_needed() {
    while [ -s removed ]; do
        # shellcheck disable=SC2046 # one word a package
        apt-get -s -q purge $(cat removed) 2>/dev/null | sed -n 's/^\(Purg\|Remv\) \([^ ]*\).*/\2/p' | sort -u >goes
        grep -vxF -f removed goes >others
        [ -s others ] || return 0
        true >kept
        while read -r package; do
            if apt-get -s -q purge "$package" 2>/dev/null | sed -n 's/^\(Purg\|Remv\) \([^ ]*\).*/\2/p' | grep -qxF -f others; then
                say "package $package stays: $(tr '\n' ' ' <others)needs it"
                printf '%s\n' "$package" >>kept
            fi
        done <removed
        if [ ! -s kept ]; then
            true >removed
            return 0
        fi
        grep -vxF -f kept removed >removed.new
        mv removed.new removed
    done
}

# Gives each service that runs started, stopped or masked its state back.
give_back_units() {
    sed -n "s/^unit$tab//p" "$additions" 2>/dev/null >units
    while IFS="$tab" read -r unit was_enabled was_active; do
        package=${unit%.*}
        if [ "$package" = docker ]; then package=docker.io; fi
        if grep -qx "$package" removed; then
            # Otherwise the mask would outlive the package.
            systemctl disable -q --now "$unit" 2>/dev/null
            systemctl unmask -q "$unit" 2>/dev/null
            continue
        fi
        case "$unit" in
        nginx.service) if serves_other_sites; then continue; fi ;;
        docker.service) if has_other_containers docker; then continue; fi ;;
        esac
        give_back_unit
    done <units
}

give_back_unit() {
    read_unit "$unit" || fail unit_state_unknown "$unit"
    if [ "$was_enabled" = - ]; then
        # It came with a package that stays.
        case "$enabled" in
        masked*) say "$unit stays masked, or its package would start it" ;;
        -) ;;
        *)
            systemctl disable -q --now "$unit" 2>/dev/null
            say "$unit is stopped and disabled: it came with a package that Moorage installed"
            ;;
        esac
        return
    fi
    if [ "$unit:$was_active" = docker-registry.service:active ] && [ "$active" != active ]; then give_back_storage; fi
    is_rolled_back=yes
    restore_unit "$unit"
    [ "$is_rolled_back" = yes ] || printf '@warning\t%s could not be put into its previous state\n' "$unit"
}

# The packaged registry can have had the images before.
give_back_storage() {
    if [ "$plan_storage_folder" = - ] || ! id -u docker-registry >/dev/null 2>&1; then return 0; fi
    if grep -qsF "$plan_storage_folder" /etc/docker/registry/config.yml && [ -d "$plan_storage_folder/docker" ]; then
        chown -hR docker-registry:docker-registry -- "$plan_storage_folder"
    fi
}

remove_packages() {
    [ -s removed ] || return 0
    # shellcheck disable=SC2046 # one word a package
    apt -y purge $(cat removed) || printf '@warning\tthe packages could not be removed: %s\n' "$(cause <apt.log)"
}

# The account stays while it owns the images: another account could get its number otherwise.
give_back_account() {
    noted account | grep -qx "$plan_account" || return 0
    if [ "$plan_storage_folder" != - ] && [ -d "$plan_storage_folder/docker" ] &&
        [ "$(stat -c %U "$plan_storage_folder")" = "$plan_account" ]; then
        say "the account $plan_account stays: it owns the images in $plan_storage_folder"
        return
    fi
    id -u "$plan_account" >/dev/null 2>&1 || return 0
    userdel "$plan_account" || printf '@warning\tthe account %s could not be removed\n' "$plan_account"
}

# The folders that runs created, innermost first.
remove_empty_folders() {
    noted folder | sort -r | while IFS= read -r folder; do
        case "$folder" in "$state" | "$state"/runs*) continue ;; esac
        rmdir -- "$folder" 2>/dev/null
    done
}

# Leaves the record of what runs added and is still here, so that a later install does not take it for a part
# of the original system, and a later uninstall can remove it.
note_what_remains() {
    while IFS="$tab" read -r kind name rest; do
        case "$kind" in
        package) is_installed "$name" || continue ;;
        account) id -u "$name" >/dev/null 2>&1 || continue ;;
        folder)
            [ -d "$name" ] || continue
            case "$name" in /etc/moorage | /etc/moorage/*) continue ;; esac
            # Moorage's own folders go, unless the images stay in them.
            if [ ! -d "$plan_storage_folder" ]; then case "$name" in "$state" | "$state"/*) continue ;; esac; fi
            ;;
        unit)
            [ "${rest%%"$tab"*}" = - ] || continue
            read_unit "$name" || fail unit_state_unknown "$name"
            [ "$enabled" != - ] || continue
            ;;
        esac
        printf '%s\t%s%s\n' "$kind" "$name" "${rest:+$tab$rest}"
    done <"$additions" >"$additions.new"
    replace_additions || cannot_write "$additions"
}
