# Installs packages, the account and the image; sourced by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

# The image IDs of the name, and of the one that the archive has, before the run loads another one.
image_before='' loaded_before=''

install_packages() {
    configure_registry
    list_packages >packages.before || cannot_write "$run/packages.before"
    # Continue if a mirror is unreachable: another can have the packages. If the installation fails,
    # the unreachable mirror is part of the reason.
    apt update
    unfetched=$(grep '^[EW]: ' apt.log | cause)
    mark_journal
    # shellcheck disable=SC2046 # one word a package
    apt -y --no-install-recommends install $(cat plan/packages)
    installed=$?
    note_packages_since packages.before
    if [ $installed != 0 ]; then
        fail packages_not_installed "$(why_apt "$unfetched")"
    fi
    wait_for_nginx_upgrade
    if [ "$plan_drop_default_site" = yes ] && [ -L /etc/nginx/sites-enabled/default ]; then
        rm -f /etc/nginx/sites-enabled/default
    fi
    if grep -qx nginx plan/packages; then
        # nginx is not in use yet; a clean start leaves no half-finished binary upgrade behind.
        mark_journal
        systemctl restart nginx || journal nginx
    fi
}

# A run that was killed can have left the registry's package unpacked; apt does nothing until it is configured.
configure_registry() {
    # shellcheck disable=SC2016 # dpkg-query fills this in, not the shell
    case "$(dpkg-query -W -f '${db:Status-Status}' docker-registry 2>/dev/null)" in
    unpacked | half-configured) dpkg --force-confold --configure docker-registry </dev/null 2>&1 | grep -v 'docker-registry\.service' ;;
    esac
}

# Installs the wanted version of the registry's package, and changes no other package. The lists were fetched
# for the plan.
upgrade_package() {
    configure_registry
    set -- --no-install-recommends --only-upgrade --allow-downgrades install "docker-registry=$plan_package_version"
    apt -s "$@" >try.log || fail packages_not_installed "$(why_apt '')"
    more=$(sed -n 's/^\(Inst\|Remv\) \([^ ]*\).*/\2/p' try.log | grep -vx docker-registry | tr '\n' ' ')
    [ -z "$more" ] || fail upgrade_needs_more "$plan_package_version" "${more% }"
    mark_journal
    apt -y "$@" || fail packages_not_installed "$(why_apt '')"
}

# The package starts a registry that listens on all addresses, and does so again after every update.
mask_packaged_registry() {
    if [ "$plan_mask_packaged_registry" = no ]; then return 0; fi
    # If the package is not installed yet, systemctl prints a message.
    answer=$(systemctl mask -q --now docker-registry.service 2>&1) ||
        fail unit_not_changed docker-registry.service "$answer"
}

# apt ARGUMENT...: runs apt-get, with its output in the log and in apt.log. Messages about the packaged
# registry's unit are dropped: it is masked on purpose, but they look like errors.
apt() {
    {
        umask 022
        # apt on Debian 12 can hang for ever on a delayed retry.
        apt-get -q -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold -o Acquire::Retries=2 \
            -o Acquire::Retries::Delay=false -o Acquire::http::Timeout=20 -o DPkg::Lock::Timeout=180 \
            "$@" </dev/null
        echo $? >apt.status
    } 2>&1 | grep --line-buffered -v 'docker-registry\.service' | tee apt.log
    [ "$(cat apt.status)" = 0 ]
}

make_account() {
    note account "$plan_account"
    added_account=yes
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$plan_account" ||
        fail account_not_created "$plan_account"
}

load_image() {
    if [ "$plan_engine" = docker ]; then start_docker; fi
    read_image "$plan_image" || fail image_state_unknown "$plan_engine"
    image_before=$image
    if [ "$plan_loaded_image" != - ]; then loaded_before=$(image_id "$plan_loaded_image"); fi
    changes_image=yes
    if [ -e image.tar ]; then
        if ! "$plan_engine" load -q -i image.tar >load.log 2>&1; then
            cat load.log
            fail image_not_loaded "$(cause <load.log)"
        fi
        cat load.log
        check_loaded
    elif ! pull_image; then
        cat load.log
        if ! needs_login; then fail image_not_pulled "$plan_image" "$(cause <load.log)"; fi
        if [ -e image-login ]; then fail image_login_refused "$plan_image" "$(cause <load.log)"; fi
        fail image_needs_login "$plan_image" "$(cause <load.log)"
    fi
    rm -rf image-login
    read_image "$plan_image" || fail image_state_unknown "$plan_engine"
    if [ "$image" != "$image_before" ]; then
        noted_image=$plan_engine$tab${image_before:--}$tab$image
        note image "$plan_image" "$plan_engine" "${image_before:--}" "$image"
    fi
}

# Docker and Podman read the login for the image's registry, if there is one, from a file.
pull_image() {
    if [ -e image-login ]; then
        DOCKER_CONFIG=$run/image-login REGISTRY_AUTH_FILE=$run/image-login/config.json \
            "$plan_engine" pull -q "$plan_image" >load.log 2>&1
    else
        "$plan_engine" pull -q "$plan_image" >load.log 2>&1
    fi
}

needs_login() {
    grep -qiE 'unauthorized|authentication required|no basic auth|access denied|access to the resource is denied|incorrect username' load.log
}

start_docker() {
    if systemctl is-active -q docker; then return 0; fi
    mark_journal
    systemctl start docker 2>systemctl.log || fail engine_not_started docker "$({ journal docker; cat systemctl.log; } | cause)"
}

# Podman prints IDs without their algorithm.
image_id() {
    set -- "$("$plan_engine" image inspect --format '{{.Id}}' "$1" 2>/dev/null)"
    [ -n "$1" ] && printf 'sha256:%s' "${1#sha256:}"
}

# read_image NAME: sets $image to the image ID of a name; empty if there is none. Returns 1 if the engine
# does not answer, because a request that fails looks like a missing image.
read_image() {
    image=$(image_id "$1") && return 0
    "$plan_engine" images -q >/dev/null 2>&1 || return 1
    image=$(image_id "$1") || image=
}

# Gives the image of the archive the name that it has here, and takes away the one under which the engine loaded it.
rename_loaded() {
    answer=$("$plan_engine" tag "$plan_loaded_image" "$plan_image" 2>&1) || fail image_not_loaded "$answer"
    if [ -n "$loaded_before" ]; then
        "$plan_engine" tag "$loaded_before" "$plan_loaded_image"
    else
        "$plan_engine" rmi "$plan_loaded_image" >/dev/null 2>&1
    fi
}

# Check what the archive contained, because an image of that name can have existed before.
check_loaded() {
    read_image "$plan_image" || fail image_state_unknown "$plan_engine"
    expected=$image
    loaded=
    for name in $(sed -n 's/^Loaded image\((s)\)\{0,1\}\( ID\)\{0,1\}: //p' load.log | tr ',' ' '); do
        if [ "$name" = "$plan_loaded_image" ]; then rename_loaded && return 0; fi
        if [ "$(image_id "$name")" = "$expected" ]; then return 0; fi
        loaded="$loaded${loaded:+, }$name"
    done
    fail image_not_in_archive "${loaded:-no image}" "$plan_image"
}

# Points the name to the previous image again, from which a restarted slot runs.
restore_image() {
    # The run failed before the image step.
    if [ "${changes_image:-no}" = no ]; then return 0; fi
    if [ -n "$image_before" ]; then
        "$plan_engine" tag "$image_before" "$plan_image" || is_rolled_back=no
    else
        "$plan_engine" rmi "$plan_image" >/dev/null 2>&1
    fi
}

# Whether the configuration fits the chosen program; sets $found to its version.
check_version() {
    true >version.log || cannot_write "$run/version.log"
    if [ "$plan_engine" = - ]; then
        case ",$(findmnt -n -o OPTIONS -T "$program")," in
        *,noexec,*) fail programs_not_executable "$programs" "$(findmnt -n -o TARGET -T "$program")" ;;
        esac
        "$program" --version >version.log 2>&1
    else
        "$plan_engine" run --rm --network none --cap-drop ALL "$program" --version >version.log 2>&1
    fi
    found=$(sed -n '/.*[ v]\([0-9][0-9]*\.[0-9][0-9.]*\).*/{s//\1/p;q;}' version.log)
    say "the registry is version ${found:-unknown}; its configuration is for $plan_version"
    fits=$found
    # The configuration for the newest version that Moorage knows also fits later ones.
    case "$plan_version $found" in "3.1 3.0" | "3.1 3.0."*) ;; "3.1 3."*) fits=3.1 ;; esac
    case "$fits" in
    "$plan_version" | "$plan_version".*) printf '%s\n' "$found" >registry-version || cannot_write "$run/registry-version" ;;
    '') fail version_unknown "$(why_program version.log)" ;;
    *) fail version_differs "$found" "$plan_version" ;;
    esac
}
