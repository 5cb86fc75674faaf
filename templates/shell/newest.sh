# Prints which versions of the registry this server can get: of the package, after apt's lists were fetched,
# or of the image, after it was pulled. Nothing that runs is touched. run/causes.sh is prepended to this script.
#
# Standard input, one line each: the container engine or "-"; the image's name; the wanted version of the
# package or "-"; the engine's login for the image's registry, in Base64, or "-".
# Standard output: lines "NAME<tab>VALUE": unfetched (why lists are missing), version (each, newest first),
# chosen, changes (each other package that it would change), image (its ID), failed (why).
# shellcheck shell=sh
set -u
umask 077
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
IFS= read -r engine
IFS= read -r image
IFS= read -r wanted
IFS= read -r login

tab=$(printf '\t')
work=$(mktemp -d) && cd "$work" || exit 1
trap 'cd / && rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM PIPE

apt() {
    timeout 300 apt-get -q -o Acquire::Retries=2 -o Acquire::Retries::Delay=false -o Acquire::http::Timeout=20 \
        -o DPkg::Lock::Timeout=60 "$@" </dev/null
}

if [ "$engine" = - ]; then
    apt update >update.log 2>&1
    grep '^[EW]: ' update.log | cause | sed "s/^/unfetched$tab/"
    printf '\n'
    apt-cache madison docker-registry 2>/dev/null | sed -n 's/^[^|]*| *\([^ |]*\) *|.* Packages$/\1/p' >versions
    sed "s/^/version$tab/" versions
    if [ "$wanted" = - ]; then
        chosen=$(apt-cache policy docker-registry 2>/dev/null | sed -n 's/^  Candidate: *//p')
    else
        # An upstream version names the newest package of it.
        chosen=$(awk -v wanted="$wanted" '$0 == wanted { exact = $0 }
            found == "" && index($0, wanted) == 1 && substr($0, length(wanted) + 1, 1) ~ /[+~-]/ { found = $0 }
            END { print exact == "" ? found : exact }' versions)
    fi
    [ -n "$chosen" ] || exit 0
    printf 'chosen\t%s\n' "$chosen"
    # Only that package may change.
    if apt -s --no-install-recommends --allow-downgrades install "docker-registry=$chosen" >try.log 2>&1; then
        sed -n "s/^\(Inst\|Remv\) \([^ ]*\).*/changes$tab\2/p" try.log | grep -vx "changes${tab}docker-registry"
    else
        printf 'failed\t%s\n' "$(cause <try.log)"
    fi
else
    if [ "$login" != - ]; then printf '%s' "$login" | base64 -d >config.json; fi
    [ "$engine" != docker ] || systemctl start docker 2>/dev/null
    if [ "$login" = - ] && timeout 1800 "$engine" pull -q "$image" >pull.log 2>&1 ||
        [ "$login" != - ] && DOCKER_CONFIG=. REGISTRY_AUTH_FILE=config.json timeout 1800 "$engine" pull -q "$image" >pull.log 2>&1; then
        identity=$("$engine" image inspect --format '{{.Id}}' "$image" 2>/dev/null)
        printf 'image\tsha256:%s\n' "${identity#sha256:}"
    else
        printf 'failed\t%s\n' "$(cause <pull.log)"
    fi
fi
exit 0
