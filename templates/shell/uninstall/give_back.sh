# Gives the server back as it was before the first run, according to /var/lib/moorage/additions; sourced by
# run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

# noted KIND: prints the names of what runs added, or of units.
noted() { sed -n "s/^$1$tab\([^$tab]*\).*/\1/p" "$additions" 2>/dev/null; }

# is_installed PACKAGE: whether it is installed, or a run was killed while it was being installed.
is_installed() {
    # shellcheck disable=SC2016 # dpkg-query fills this in
    case "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" in '' | not-installed | config-files) return 1 ;; esac
}

warn() { printf '@warning\t%s\n' "$*"; }

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

# answers ENGINE: whether a container engine can say what it has. Docker is started for it, if runs used it.
answers() {
    command -v "$1" >/dev/null || return 1
    if [ "$1" = docker ] && ! is_active docker; then
        noted unit | grep -qx docker.service || return 1
        systemctl start docker 2>/dev/null
    fi
    "$1" images -q >/dev/null 2>&1
}

# Points the names of the images that runs loaded to what they meant before, the last run first.
give_back_images() {
    sed -n "s/^image$tab//p" "$additions" 2>/dev/null | tac >images
    while IFS="$tab" read -r name plan_engine before loaded; do
        if ! answers "$plan_engine"; then
            warn "the image $name stays: $plan_engine does not answer"
            continue
        fi
        [ "$(image_id "$name")" = "$loaded" ] || continue
        if [ "$before" != - ] && "$plan_engine" tag "$before" "$name" 2>/dev/null; then continue; fi
        # Without force: containers can use it.
        "$plan_engine" rmi "$name" >/dev/null 2>&1 || warn "the image $name stays: something else uses it"
    done <images
}

# has_others ENGINE: whether a container engine has, or can have, containers, images, volumes or networks
# of others.
has_others() {
    command -v "$1" >/dev/null || return 1
    answers "$1" || return 0
    if [ "$1" = docker ]; then
        if ctr namespaces ls -q 2>/dev/null | grep -qv moby; then return 0; fi
        [ -z "$(docker network ls -q --filter type=custom)" ] || return 0
    fi
    [ -n "$("$1" ps -aq)$("$1" images -q)$("$1" volume ls -q)" ]
}

# Puts the packages to remove into "removed": those that runs installed and that nothing else uses.
choose_packages() {
    true >removed
    true >staying
    [ "$plan_packages" = remove ] || return 0
    has_packages || return 0
    if ! can_remove_packages; then
        printf '@warning\tthe packages stay, because apt removes none: %s\n' "$(cause <apt.log)"
        return
    fi
    for package in $(noted package); do
        is_installed "$package" || continue
        why=
        case "$package" in
        nginx | nginx-* | libnginx-*) if serves_other_sites; then why='nginx serves other sites'; fi ;;
        docker.io | containerd | runc) if has_others docker; then why='docker has images, containers or volumes of others'; fi ;;
        podman | crun | conmon) if has_others podman; then why='podman has images, containers or volumes of others'; fi ;;
        esac
        if [ -n "$why" ]; then
            keep_package "$package" "$why"
            continue
        fi
        printf '%s\n' "$package" >>removed
    done
    keep_needed
    warn_of_staying
}

# keep_package PACKAGE WHY: notes that a package stays.
keep_package() { printf '%s\t%s\n' "$2" "$1" >>staying; }

# Warns of the packages that stay, a line for each reason.
warn_of_staying() {
    awk -F "$tab" '
        !($1 in names) { reasons[++count] = $1; names[$1] = $2; next }
        { names[$1] = names[$1] ", " $2 }
        END { for (i = 1; i <= count; i++) printf "@warning\tpackages that stay, because %s: %s\n", reasons[i], names[reasons[i]] }
    ' staying
}

# Whether a package that runs installed is there.
has_packages() {
    for package in $(noted package); do
        if is_installed "$package"; then return 0; fi
    done
    return 1
}

# Waits until no other apt is running; what it leaves decides which packages can go. If dpkg was killed, apt
# refuses everything until dpkg has finished its work.
can_remove_packages() {
    if apt check; then return 0; fi
    (umask 022 && dpkg --force-confold --configure -a </dev/null)
    apt check
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
                keep_package "$package" "others need them ($(paste -s -d , others | sed 's/,/, /g'))"
                printf '%s\n' "$package" >>kept
            fi
        done <removed
        if [ ! -s kept ]; then
            while read -r package; do keep_package "$package" 'others would go with them'; done <removed
            true >removed
            return 0
        fi
        grep -vxF -f kept removed >removed.new
        mv removed.new removed
    done
}

# Gives each service that runs started, stopped or masked its state back.
give_back_units() {
    if has_others docker; then has_others_docker=yes; else has_others_docker=no; fi
    sed -n "s/^unit$tab//p" "$additions" 2>/dev/null >units
    while IFS="$tab" read -r unit was_enabled was_active; do
        case "$unit" in
        docker.*) package=docker.io ;;
        podman*) package=podman ;;
        *) package=${unit%.*} ;;
        esac
        if grep -qx "$package" removed; then
            # Otherwise the mask would outlive the package.
            systemctl disable -q --now "$unit" 2>/dev/null
            systemctl unmask -q "$unit" 2>/dev/null
            continue
        fi
        case "$unit" in
        nginx.service) if serves_other_sites; then continue; fi ;;
        docker.* | containerd.*)
            if is_active docker && [ -n "$(docker ps -q 2>/dev/null)" ]; then continue; fi
            if [ "$was_enabled" = - ] && [ "$has_others_docker" = yes ]; then continue; fi
            ;;
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
            systemctl reset-failed "$unit" 2>/dev/null
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
    units_of $(cat removed) >units.removed
    # shellcheck disable=SC2046 # one word a package
    if apt -y purge $(cat removed); then
        forget_units
        remove_engine_folders
    else
        printf '@warning\tthe packages could not be removed: %s\n' "$(cause <apt.log)"
    fi
}

# systemd remembers that units failed when they were stopped, and when timers ran, after these are gone.
forget_units() {
    while read -r unit; do
        systemctl reset-failed "$unit" 2>/dev/null
        case "$unit" in *.timer) rm -f "/var/lib/systemd/timers/stamp-$unit" ;; esac
    done <units.removed
}

# The packages of container engines leave what they wrote at their start; there are no images, containers or
# volumes in it (choose_packages).
remove_engine_folders() {
    if grep -qx podman removed; then
        rm -rf --one-file-system /var/lib/containers/cache /var/lib/containers/storage /etc/cni/net.d/cni.lock
    fi
    if grep -qx docker.io removed; then rm -f /etc/docker/key.json; fi
    if grep -qx containerd removed; then rm -rf --one-file-system /var/lib/containerd /opt/containerd; fi
    rmdir /var/lib/containers /var/lib/docker /etc/docker /etc/cni/net.d /etc/cni 2>/dev/null
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
        image)
            plan_engine=${rest%%"$tab"*}
            [ "$(image_id "$name")" = "${rest##*"$tab"}" ] || continue
            ;;
        unit)
            [ "${rest%%"$tab"*}" = - ] || continue
            read_unit "$name" || fail unit_state_unknown "$name"
            [ "$enabled" != - ] || continue
            ;;
        esac
        printf '%s\t%s%s\n' "$kind" "$name" "${rest:+$tab$rest}"
    done <"$additions" >remains
    { cp remains "$additions.new" && replace_additions; } || cannot_write "$additions"
}
