# Reads all facts about a server in one go. Changes nothing.
#
# Standard input: one line each: the container engine or "-", the image's name or "-",
# the folder that images are stored in or "-", whether to read nginx's configuration (yes or "-"), whether
# to ask apt for updates (yes or "-"), the file to read before everything else or "-"; then one path of a
# managed file or folder a line.
# run/causes.sh is prepended to this script.
# Standard output: lines "FACT<tab>...", the line "@files", then a tar of the managed files.
# shellcheck shell=sh
set -u

IFS= read -r engine
IFS= read -r image
IFS= read -r storage
IFS= read -r reads_nginx
IFS= read -r asks_apt
IFS= read -r first

tab=$(printf '\t')
newline='
'
fact() {
    printf '%s' "$1"
    shift
    for value; do printf '\t%s' "$value"; done
    printf '\n'
}
# Prefix every line of standard input with a fact's name. Starting sed for it (many_facts) only pays off
# with many lines.
facts() { while IFS= read -r line || [ -n "$line" ]; do printf '%s\t%s\n' "$1" "$line"; done; }
many_facts() { sed "s/^/$1$tab/"; }
# line_facts NAME TEXT: the same for text that is not empty lines.
line_facts() {
    [ -n "$2" ] || return 0
    set -f
    IFS=$newline
    # shellcheck disable=SC2086 # one word a line
    printf "$1\t%s\n" $2
    unset IFS
    set +f
}

if [ "$first" != - ]; then
    [ ! -r "$first" ] || many_facts first <"$first"
    printf 'first_read\n'
fi
fact clock "$(date +%s.%N)"
[ -r /etc/os-release ] && facts os </etc/os-release
{ read -r name </proc/sys/kernel/hostname; } 2>/dev/null && fact hostname "$name"
[ -d /run/systemd/system ] && fact systemd yes
# Files in /proc have no size, so read this one to see whether it is empty.
{ read -r _ </proc/net/if_inet6; } 2>/dev/null && fact ipv6 yes
# Scope 00 is global: the addresses at which others can reach this server.
[ -r /proc/net/if_inet6 ] && while read -r address _ _ scope _; do
    [ "$scope" = 00 ] && fact address6 "$address"
done </proc/net/if_inet6
while read -r name kilobytes _; do
    if [ "$name" = MemTotal: ]; then fact memory "$kilobytes" && break; fi
done </proc/meminfo
# A run writes to these. Even root cannot write to a file system that is mounted read-only.
for folder in /etc /var /var/lib; do [ -w $folder ] || fact read_only $folder; done
# apt can be set up to mount /usr read-write while it installs packages.
[ -w /usr ] || apt-config dump 2>/dev/null | grep -q 'Pre-Invoke.*remount' || fact read_only /usr
[ ! -d /usr/local ] || [ -w /usr/local ] || fact read_only /usr/local
for tool in apt-get dpkg-query systemctl systemd-run flock ss openssl nginx docker podman docker-registry; do
    command -v "$tool" >/dev/null 2>&1 && fact tool "$tool"
done
packages=
if command -v dpkg-query >/dev/null 2>&1; then
    # The packages that matter, and all that are on hold or half installed.
    # shellcheck disable=SC2016 # dpkg-query fills these in, not the shell
    packages=$(dpkg-query -W -f '${Package}\t${Version}\t${db:Status-Abbrev}\t${Maintainer}\t${Architecture}\n' '*' 2>/dev/null |
        awk -F "$tab" -v OFS="$tab" '
            BEGIN {
                split("nginx nginx-full nginx-light nginx-extras libnginx-mod-http-js nginx-module-njs openssl " \
                    "docker-registry docker.io docker-cli docker-ce podman crun runc python3 python3-minimal certbot", names, " ")
                for (number in names) matters[names[number]]
            }
            $1 in matters || $1 ~ /^python3-certbot-dns-/ { print "package", $1, $2, $3, $4 }
            $3 ~ /^(h..|.[HUF].|..R)$/ { print "unsettled", $1, $3 }
            $1 == "dpkg" && $3 ~ /^.i/ { print "architecture", $5 }')
    [ -z "$packages" ] || printf '%s\n' "$packages"
fi
case "$packages" in *"architecture$tab"*) ;; *) fact architecture "$(dpkg --print-architecture 2>/dev/null || uname -m)" ;; esac
# apt is slow, so query it only if the answer matters and there are package lists.
set -- /var/lib/apt/lists/*_Packages*
if [ "${packages#*"package${tab}libnginx-mod-http-js$tab"}" = "$packages" ] && [ -e "$1" ]; then
    case "$(apt-cache policy libnginx-mod-http-js 2>/dev/null)" in
    *'Candidate: (none)'* | '') fact njs no ;;
    *) fact njs yes ;;
    esac
fi
# Without an engine, the registry's package is needed.
if [ "$engine" = - ] && [ -e "$1" ]; then
    case "$packages" in *"package${tab}docker-registry$tab"*) ;; *) asks_apt=yes ;; esac
fi
# The versions that apt would install, from the lists it has, and when it fetched them.
if [ "$asks_apt" = yes ] && [ -n "$packages" ] && [ -d /var/lib/apt/lists ]; then
    stat -c "lists$tab%Y" /var/lib/apt/lists /var/lib/apt/lists/partial \
        /var/lib/apt/periodic/update-success-stamp 2>/dev/null
    # A line "NAME:", then "  Candidate: VERSION" and the versions, each with the lists that have it.
    timeout 10 apt-cache policy docker-registry nginx 2>/dev/null | awk -v OFS='\t' '
        function report() { if (candidate != "") print "candidate", name, candidate, is_security ? "security" : "" }
        /^[^ ]/ { report(); name = substr($1, 1, length($1) - 1); candidate = version = ""; is_security = 0 }
        $1 == "Candidate:" && $2 != "(none)" { candidate = $2 }
        /^ (\*\*\*|   ) [^ ]/ { version = $1 == "***" ? $2 : $1 }
        /^        / && version == candidate && $3 ~ /-security\// { is_security = 1 }
        END { report() }'
fi
if command -v systemctl >/dev/null 2>&1; then
    # Prints the output of a unit's last start. (In a run, journal() prints it since a mark.)
    journal() {
        attempt=$(systemctl show -p InvocationID --value "$1" 2>/dev/null)
        [ -n "$attempt" ] || return
        # journald knows only the unit of a line that it reads after its process failed, not the start; and a
        # busy one can read it before systemd's lines about the start, which have the time they were written at.
        set -- "_SYSTEMD_INVOCATION_ID=$attempt" + "INVOCATION_ID=$attempt" + "_SYSTEMD_UNIT=$1.service"
        begin=$(journalctl -q -o export --output-fields=_SOURCE_REALTIME_TIMESTAMP "$1" + "$3" 2>/dev/null |
            awk -F = '
                $1 ~ /^_(_|SOURCE_)REALTIME_TIMESTAMP$/ { if (first == "" || $2 < first) first = $2 }
                NR == 100 { exit }
                END { if (first != "") print "@" substr(first, 1, length(first) - 6) "." substr(first, length(first) - 5) }')
        [ -z "$begin" ] || journalctl -q --no-pager -o cat --since "$begin" "$@" 2>/dev/null | tail -n 200
    }
    # shellcheck disable=SC2034 # why_registry reads it
    plan_engine=$engine
    states=$(timeout 30 systemctl show --property=Id,ActiveState,UnitFileState \
        nginx.service docker.service docker-registry.service moorage-activity.service \
        moorage-collect.service moorage-collect.timer \
        certbot.timer moorage-registry@blue.service moorage-registry@green.service 2>/dev/null)
    if [ -z "$states" ] && [ -d /run/systemd/system ]; then
        echo 'systemctl does not answer' >&2
        exit 1
    fi
    printf '%s\n' "$states" | facts service
    # An empty line ends each unit, including the last one.
    printf '%s\n\n' "$states" | while IFS='=' read -r name value; do
        case "$name" in
        Id) unit=${value%.service} ;;
        ActiveState) state=$value ;;
        '')
            case "$state $unit" in
            'failed nginx' | *'activating nginx') fact failure "$unit" "$(journal nginx | why_nginx)" ;;
            'failed moorage-registry@'* | *'activating moorage-registry@'*)
                fact failure "$unit" "$(why_registry "$unit")"
                ;;
            esac
            unit='' state=
            ;;
        esac
    done
fi
# Transfers left on a draining slot; the file can outlive its writer.
for slot in blue green; do
    { read -r since transfers; } 2>/dev/null </run/moorage-registry/$slot.draining || continue
    systemctl is-active -q "moorage-registry@$slot" || continue
    case "$(systemctl show -p ActiveState --value "moorage-drain-$slot")" in
    act*) read -r uptime _ </proc/uptime && fact draining "$slot" $((${uptime%%.*} - since)) "$transfers" ;;
    esac
done
# Other sites' files are read for their listen addresses and names; 4 MiB are plenty.
if [ "$reads_nginx" = yes ] && command -v nginx >/dev/null 2>&1; then
    nginx -V -T 2>&1 | head -c 4194304 | many_facts nginx_dump
    printf '\n'
fi
command -v ss >/dev/null 2>&1 && line_facts listener "$(ss -Hltnp 2>/dev/null)"
# Any user can read the accounts; only our own names are looked up.
getent passwd moorage www-data | while IFS=: read -r account _ number group _; do
    fact account "$account" "$number" "$group"
done
folder=/var/lib
[ "$storage" = - ] || folder=$storage
while [ ! -d "$folder/" ]; do
    folder=/${folder#/}
    folder=${folder%/*}
done
disks=$(df -k --output=source,size,used,avail,pcent,itotal,iused,iavail,ipcent,target "${folder:-/}" /var/lib / 2>/dev/null)
# The first line is a header.
line_facts disk "${disks#*"$newline"}"
source='' available='' mount=
read -r source _ _ available _ _ _ _ _ mount <<END
${disks#*"$newline"}
END
# Interrupted pushes can fill the disk. Looking for them is slow.
if [ "$storage" != - ] && [ "${available:-0}" -lt 1048576 ]; then
    fact uploads "$(timeout 10 find "$storage/docker/registry/v2/repositories" \
        \( -name _layers -o -name _manifests \) -prune -o -path '*/_uploads/*' -type f -printf '%k\n' 2>/dev/null |
        awk '{ sum += $1 } END { print sum + 0 }')"
fi
if [ "$storage" != - ]; then
    marker='' has_images=no
    { read -r marker; } 2>/dev/null <"$storage/.moorage-store"
    for repository in "$storage"/docker/registry/v2/repositories/*; do
        # Not an image: left behind by 'moorage verify'.
        case "$repository" in */\* | */moorage-verify) ;; *) has_images=yes && break ;; esac
    done
    fact store "$storage" "$marker" "$mount" "$source" "$has_images"
fi
# The slots' images folders, and whether they have images, that is, a linked manifest: repository names
# remain when everything in them is deleted.
roots=$newline
sed -n 's/^ *rootdirectory: *\(\/.*\)$/\1/p' /etc/moorage/registry/*/config.yml 2>/dev/null |
    while IFS= read -r root; do
        case "$roots" in *"$newline$root$newline"*) continue ;; esac
        roots=$roots$root$newline
        found=$(find "$root/docker/registry/v2/repositories" \( -name _layers -o -name _uploads \) -prune -o \
            -path '*/_manifests/revisions/*' -name link -print -quit 2>/dev/null)
        has_images=yes marker=''
        [ -n "$found" ] || has_images=no
        { read -r marker; } 2>/dev/null <"$root/.moorage-store"
        fact images "$root" "$has_images" "$marker"
    done
if [ "$engine" != - ] && [ "$image" != - ] && command -v "$engine" >/dev/null 2>&1; then
    # Podman prints IDs without their algorithm.
    identity=$("$engine" image inspect --format '{{.Id}}' "$image" 2>/dev/null) && fact image "sha256:${identity#sha256:}"
fi
# The programs that the slots run, see run/program.sh.
active=- runtime='' program=
while read -r line; do
    case "$line" in *'/blue/registry.sock;'*) active=blue ;; *'/green/registry.sock;'*) active=green ;; esac
done 2>/dev/null </etc/nginx/moorage/upstream.conf
environment=/etc/moorage/registry/$active/program.env
while IFS='=' read -r name value; do
    value=${value#\"} value=${value%\"}
    case "$name" in
    MOORAGE_RUNTIME) runtime=$value ;;
    MOORAGE_PROGRAM | MOORAGE_IMAGE) program=$value ;;
    esac
done 2>/dev/null <"$environment"
# Starting stat once for all files.
stated=$(stat -c "%i$tab%.9Z$tab%.9Y$tab%a$tab%U$tab%G$tab%n" /var/lib/dpkg/lock-frontend "$storage" "$environment" "$program" \
    /var/lib/moorage/runs/* 2>/dev/null)
lock=- program_changed='' environment_written=
while IFS=$tab read -r inode changed written mode owner group path; do
    case "$path" in
    /var/lib/dpkg/lock-frontend) lock=$inode ;;
    "$storage") [ ! -d "$storage" ] || fact folder "$mode" "$owner" "$group" "$storage" ;;
    "$program") program_changed=${changed%.*}${changed#*.} ;;
    "$environment") environment_written=${written%.*}${written#*.} ;;
    /var/lib/moorage/runs/*)
        read_run "$path" "${written%.*}" || continue
        # shellcheck disable=SC2154 # runs.sh sets them
        {
            fact run "${path##*/}" "$running" "$changed" "$step" "$status" "$code" "$values"
            if [ "$uninstalls" = yes ]; then fact uninstall "${path##*/}"; fi
        }
        ;;
    esac
done <<END
$stated
END
while read -r holder; do
    case "$holder" in *":$lock "*) fact apt_runs yes && break ;; esac
done </proc/locks
if [ -r "$environment" ]; then
    condition=missing
    case "$runtime" in
    docker | podman) if "$runtime" image inspect "$program" >/dev/null 2>&1; then condition=whole; fi ;;
    *)
        # A run writes program.env after the program. Only a file that changed since then is read as a whole.
        if [ -f "$program" ] && [ "${program_changed:-1}" -le "${environment_written:-0}" ]; then
            condition=whole
        elif [ -f "$program" ]; then
            digest=$(sha256sum <"$program")
            condition=damaged
            [ "${digest%% *}" != "${program##*/}" ] || condition=whole
        fi
        ;;
    esac
    fact program "$active" "$condition"
fi
# Results of certificate renewals from certbot's log, oldest first. It has local times.
if [ -e /etc/letsencrypt/renewal/moorage.conf ]; then
    fact zone "$(date +%z)"
    cat /var/log/letsencrypt/letsencrypt.log.1 /var/log/letsencrypt/letsencrypt.log 2>/dev/null |
        grep -a 'Processing /etc/letsencrypt/renewal/\|not yet due for renewal\|Failed to renew certificate moorage \|moorage.conf.* produced an unexpected error\|Writing new config /etc/letsencrypt/renewal/moorage.conf\|deploy-hook.*returned error\|deploy-hook.*reported error' |
        tail -n 12 | cut -c 1-600 | tr '\t' ' ' | facts certbot_log
    next=$(systemctl show -p NextElapseUSecRealtime --value certbot.timer 2>/dev/null)
    [ -z "$next" ] || fact certbot_next "$(date -d "$next" +%s 2>/dev/null)"
fi
# The last run of the schedule, and the next.
if [ -e /etc/systemd/system/moorage-collect.timer ]; then
    next=$(systemctl show -p NextElapseUSecRealtime --value moorage-collect.timer 2>/dev/null)
    [ -z "$next" ] || fact collect_next "$(date -d "$next" +%s 2>/dev/null)"
    { head -c 65536 /var/lib/moorage/collection | facts collection; } 2>/dev/null
fi

printf '@files\n'
set --
while IFS= read -r path; do
    if [ -e "$path" ] || [ -L "$path" ]; then set -- "$@" "${path#/}"; fi
done
# A killed run leaves hard links; include the content for each name.
[ $# -eq 0 ] || tar --hard-dereference -C / -cf - -- "$@" 2>/dev/null
exit 0
