# Keeps the last deployments on this server, so that a rollback can go back to them; sourced by run.sh.
#
# A deployment is the folder /var/lib/moorage/deployments/RUN: deployment.json as the run recorded it, the
# managed files below files/, and the active slot's program.env. It is written beside and then renamed, so
# that a folder with that name is whole.
# shellcheck shell=sh
# shellcheck disable=SC2154 # variables are shared with run.sh
deployments=$state/deployments
# The current one, and the three before it.
most_deployments=4

# keep_deployment RUN SLOT LIST: keeps what is deployed now, unless it is kept already. A failure, such as a
# full disk, is only a warning: the registry is served.
keep_deployment() {
    if [ "$1" = - ] || [ ! -s "$3" ] || [ -e "$deployments/$1" ]; then return 0; fi
    if ! write_deployment "$@" 2>deployment.log; then
        printf '@warning\tthis deployment was not kept, so there is no way back to it: %s\n' "$(tail -n 1 deployment.log)"
        rm -rf -- "$deployments/.new.$1"
    fi
}

write_deployment() {
    new=$deployments/.new.$1 kept=$deployments/$1 list=$3
    rm -rf -- "$deployments"/.new.* "$deployments"/.old.*
    install -d -m 700 "$deployments" "$new" "$new/files" || return 1
    set -- /etc/moorage/deployment.json "/etc/moorage/registry/$2/program.env"
    [ -e "$2" ] || set -- "$1"
    cp -p -t "$new" -- "$@" || return 1
    set --
    while IFS= read -r path; do set -- "$@" "${path#/}"; done <"$list"
    (cd / && cp -pP --parents -t "$new/files" -- "$@") || return 1
    find "$new" -exec sync -- {} + && mv -T -- "$new" "$kept" && sync -- "$deployments"
}

# Removes all deployments except for the last. Names sort by time, according to the clocks of the operators'
# machines; the current one stays in any case.
forget_deployments() {
    set -- "$deployments"/[!.]*
    while [ $# -gt $most_deployments ]; do
        if [ "$1" != "$deployments/${run##*/}" ]; then
            mv -T -- "$1" "$deployments/.old.${1##*/}" && rm -rf -- "$deployments/.old.${1##*/}"
        fi
        shift
    done
}
