# Obtains the certificate by ACME; sourced by run.sh.
#
# This happens before nginx gets the TLS server, which needs a certificate, and before the go-ahead:
# no server switches unless all of them have their certificate.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh
tls_folder=/etc/nginx/moorage/tls
challenges=/var/lib/moorage/acme
acme=/etc/moorage/acme
lineage=/etc/letsencrypt/live/moorage

# certbot's hook installs the certificate, so it is not among the plan's files.
back_up_certificate() {
    [ "$plan_certificate" != - ] || return 0
    for name in key.pem fullchain.pem; do
        if [ -e "$tls_folder/$name" ]; then
            ln -PT -- "$tls_folder/$name" "$tls_folder/.moorage.old.$name" || cannot_write "$tls_folder/$name"
        fi
    done
    certificate_is_kept=yes
}

restore_certificate() {
    [ "${certificate_is_kept:-no}" = yes ] || return 0
    for name in key.pem fullchain.pem; do
        old=$tls_folder/.moorage.old.$name
        if [ ! -e "$old" ]; then
            rm -f -- "$tls_folder/$name"
        # Both can still be the same file, for which a rename does nothing.
        elif [ "$(stat -c %i "$old")" != "$(stat -c %i "$tls_folder/$name" 2>/dev/null)" ]; then
            mv -fT -- "$old" "$tls_folder/$name" || is_rolled_back=no
        fi
    done
}

get_certificate() {
    if [ "$plan_challenge" = http-01 ]; then open_port_80; fi
    systemctl enable -q --now certbot.timer || printf '@warning\tcertbot.timer, which renews the certificate, could not be started\n'
    [ "$plan_certificate" != - ] || return 0
    if [ "$plan_challenge" = http-01 ]; then wait_for_peers; fi
    request_certificate
}

# Port 80 comes first: the authority connects to it to validate the challenge, possibly through the
# other servers.
open_port_80() {
    site=/etc/nginx/conf.d/moorage-http.conf
    grep -q "$tab$site\$" plan/files || return 0
    place_files "$site"
    test_nginx
    reload_nginx || fail port_80_not_opened "$(why_reload)"
}

# forwards_challenge PEER TOKEN: whether a peer forwards this server's challenge, at any of its comma-separated
# addresses. Sets $status to the last response's status.
forwards_challenge() {
    printf 'GET /.well-known/acme-challenge/%s HTTP/1.0\r\nHost: %s\r\n\r\n' "$2" "$plan_domain" >request ||
        cannot_write "$run/request"
    for address in $(printf '%s' "$1" | tr , ' '); do
        send_request "$address" 80
        if tail -n 1 answer | tr -d '\r' | grep -qa "$2\$"; then return 0; fi
        answered=$(sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p' answer)
        status=${answered:-$status}
    done
    return 1
}

# Waits until every other server forwards this server's challenges: their runs open port 80 at the same
# time.
wait_for_peers() {
    install -d -m 755 "$challenges/.well-known" "$challenges/.well-known/acme-challenge" ||
        cannot_write "$challenges/.well-known"
    make_token
    (umask 022 && printf '%s\n' "$token" >"$challenges/.well-known/acme-challenge/$token") ||
        cannot_write "$challenges/.well-known/acme-challenge/$token"
    failed=no
    wait_until "$plan_peer_seconds" 0.5 all_forward_challenge "$token" || failed=yes
    rm -f "$challenges/.well-known/acme-challenge/$token"
    [ $failed = no ] || fail peer_not_answering "$(printf '%s' "$peer" | sed 's/,/ or /g')" "${status:-nothing}"
}

# all_forward_challenge TOKEN: forwards_challenge for all peers; $peer is the one that does not.
all_forward_challenge() {
    for peer in $plan_peers; do
        status=
        forwards_challenge "$peer" "$1" || return 1
    done
}

request_certificate() {
    if [ -e "$acme/ca.pem" ]; then
        cat /etc/ssl/certs/ca-certificates.crt "$acme/ca.pem" >ca-bundle.pem || cannot_write "$run/ca-bundle.pem"
        export REQUESTS_CA_BUNDLE="$run/ca-bundle.pem"
    fi
    if grep -qs '^\[default\]' "$acme/dns.ini"; then export AWS_SHARED_CREDENTIALS_FILE="$acme/dns.ini"; fi
    if [ ! -e /etc/letsencrypt/renewal/moorage.conf ]; then
        # Remove an old certificate that is neither renewed nor used.
        rm -rf "$lineage" /etc/letsencrypt/archive/moorage
    fi
    how=--keep-until-expiring
    if [ "$plan_certificate" = force ]; then how=--force-renewal; fi
    MOORAGE_RUN=${run##*/} timeout 900 certbot certonly --non-interactive --config "$acme/certbot.ini" \
        --renew-with-new-domains "$how" </dev/null >certbot.log 2>&1
    status=$?
    sed '/^- - -/,$d' certbot.log
    [ "$status" = 0 ] || fail certificate_not_issued "$(why_refused "$status")"
    RENEWED_LINEAGE=$lineage MOORAGE_RUN=${run##*/} "$acme/deploy.sh" || fail certificate_not_installed
    openssl x509 -in "$tls_folder/fullchain.pem" -noout -checkend 0 >/dev/null ||
        fail certificate_not_valid "$(date -u '+%Y-%m-%d %H:%M')"
}

# why_refused STATUS: prints certbot's error in one line.
why_refused() {
    if [ "$1" = 124 ]; then
        echo "certbot did not end within 15 minutes"
        return
    fi
    # For failed challenges, the authority reports details.
    detail=$(sed -n 's/^ *Detail: //p' certbot.log | sort -u | tr '\n' ' ')
    if [ -z "$detail" ]; then
        # certbot 2.1 crashes on a rejected order; only its own log has the reason.
        detail=$(tac /var/log/letsencrypt/letsencrypt.log | sed '/certbot._internal.main:certbot version/q' |
            grep -o '"detail": *"\([^"\]\|\\.\)*"' | head -n 1 | sed 's/^"detail": *"//; s/"$//; s/\\"/"/g')
    fi
    if [ -z "$detail" ]; then
        detail=$(sed -n '/^An unexpected error occurred:/{n;p;}' certbot.log | head -n 1)
    fi
    if [ -z "$detail" ]; then
        detail=$(grep -v '^Ask for help\|^See the logfile\|^Saving debug log\|^Requesting a\|^$\|^Account registered' certbot.log | tail -n 1)
    fi
    printf '%s' "$detail" | cut -c 1-500
}
