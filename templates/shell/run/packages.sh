# What a server needs before the registry: packages, the account, the image; read by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

install_packages() {
    if [ "$plan_mask_packaged_registry" = yes ]; then
        # It says that the unit is not there yet.
        systemctl mask -q docker-registry.service 2>mask.log || cat mask.log
    fi
    # apt reports unreachable mirrors as warnings and goes on with what it has, so its first
    # complaint is kept for the message.
    if ! apt update; then fail "the package lists could not be fetched: $(complaint)"; fi
    problem=$(complaint)
    # shellcheck disable=SC2046 # one word a package
    if ! apt -y --no-install-recommends install $(cat plan/packages); then
        fail "the packages could not be installed: ${problem:-$(complaint)}"
    fi
    settle_nginx
    if grep -qx nginx plan/packages; then
        # Nobody uses it yet, and a start from scratch leaves no half-done replacement behind.
        systemctl restart nginx || last_lines nginx
    fi
}

# apt ARGUMENT...: runs apt-get, its output in the log as it comes and in apt.log. What systemd says
# about the packaged registry's unit, which is masked on purpose, looks like errors and is none.
apt() {
    {
        umask 022
        apt-get -q -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold -o Acquire::Retries=2 \
            -o Acquire::http::Timeout=20 -o DPkg::Lock::Timeout=180 "$@" </dev/null
        echo $? >apt.status
    } 2>&1 | grep --line-buffered -v 'docker-registry\.service' | tee apt.log
    [ "$(cat apt.status)" = 0 ]
}

complaint() {
    grep -m 1 '^E:\|^W:.*\(Failed to fetch\|Could not\|Temporary failure\|Unable\)' apt.log | cut -c 1-300
}

make_account() {
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$plan_account" ||
        fail "the account $plan_account could not be made"
}

load_image() {
    systemctl is-active -q "$plan_engine" 2>/dev/null || systemctl start "$plan_engine" 2>/dev/null
    if [ -e image.tar ]; then
        "$plan_engine" load -q -i image.tar || fail "the image archive could not be loaded"
        "$plan_engine" image inspect "$plan_image" >/dev/null 2>&1 ||
            fail "the image archive does not hold $plan_image; registry.image must name what is in it"
    else
        answer=$("$plan_engine" pull -q "$plan_image" 2>&1) ||
            fail "the image $plan_image could not be pulled ($(printf '%s' "$answer" | tail -n 1 | cut -c 1-200)); a server with no way out takes registry.image_archive"
    fi
}

check_version() {
    if [ "$plan_engine" = - ]; then
        answer=$(docker-registry --version 2>&1)
    else
        answer=$("$plan_engine" run --rm --network none --cap-drop ALL "$plan_image" --version 2>&1)
    fi
    found=$(printf '%s\n' "$answer" | sed -n 's/.*[ v]\([0-9][0-9]*\.[0-9][0-9.]*\).*/\1/p' | head -n 1)
    say "the registry is version ${found:-unknown}, its configuration is written for $plan_version"
    case "$found" in
    "$plan_version" | "$plan_version".*) printf '%s\n' "$found" >registry-version ;;
    '') fail "the registry did not tell its version: $(printf '%s' "$answer" | tail -n 1 | cut -c 1-200)" ;;
    *) fail "the registry is version $found, but its configuration is written for $plan_version; set registry.version" ;;
    esac
}
