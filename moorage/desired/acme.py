"""The packages and files for obtaining and renewing a certificate by ACME."""

from __future__ import annotations

from moorage.answers.dns_plugins import PLUGINS
from moorage.answers.model import Answers
from moorage.answers.secrets import is_reference
from moorage.answers.ssl import DnsChallenge
from moorage.desired import layout
from moorage.desired.render import render
from moorage.desired.state import (
    CertificateOrder,
    DesiredFile,
    DesiredFolder,
    Effect,
    Materials,
    Package,
    Platform,
)


def certificate_order(answers: Answers, platform: Platform) -> CertificateOrder | None:
    """Return the certificate that certbot has to obtain, or None if ssl.mode is not acme.

    Args:
        answers: What the operator decided.
        platform: What kind of server it is.
    """
    acme = answers.ssl.acme
    if answers.ssl.mode != "acme":
        return None
    is_http = acme.challenge == "http-01"
    plugin = None if is_http or acme.dns is None else PLUGINS[acme.dns.provider]
    return CertificateOrder(
        directory=acme.url,
        challenge=acme.challenge,
        authenticator=plugin.authenticator if plugin else "webroot",
        key_type=acme.key_type,
        peers=platform.peers if is_http else (),
    )


def acme_packages(answers: Answers) -> list[Package]:
    """Return certbot and its plugin for the DNS provider."""
    acme = answers.ssl.acme
    if answers.ssl.mode != "acme":
        return []
    packages = [Package("certbot", ("ssl.mode",))]
    if acme.challenge == "dns-01" and acme.dns is not None:
        packages.append(Package(PLUGINS[acme.dns.provider].package, ("ssl.acme.dns.provider",)))
    return packages


def acme_folders(answers: Answers) -> list[DesiredFolder]:
    """Return certbot's folders and the challenge folder, which nginx's workers read."""
    if answers.ssl.mode != "acme":
        return []
    folders = [
        DesiredFolder(layout.ACME_ETC, "holds certbot's configuration", mode=0o700),
        DesiredFolder(layout.CERTBOT_DROP_INS, "holds settings of the renewal service"),
    ]
    if answers.ssl.acme.challenge == "http-01":
        folders.append(DesiredFolder(layout.CHALLENGES, "holds ACME challenges"))
    return folders


def acme_files(answers: Answers, materials: Materials) -> list[DesiredFile]:
    """Return certbot's configuration, its deploy hook, CA and DNS credentials."""
    acme = answers.ssl.acme
    if answers.ssl.mode != "acme":
        return []
    files = []
    if materials.acme_ca is not None:
        files.append(
            DesiredFile(layout.ACME_CA, materials.acme_ca, Effect.RENEWAL, ("ssl.acme.ca_file",))
        )
    dns = acme.dns if acme.challenge == "dns-01" else None
    credentials = dns is not None and bool(dns.credentials)
    if dns is not None and credentials:
        files.append(
            DesiredFile(
                layout.DNS_CREDENTIALS,
                _credentials(dns, materials),
                Effect.RENEWAL,
                ("ssl.acme.dns.credentials",),
                mode=0o600,
            )
        )
    hmac = materials.secrets.get("ssl.acme.external_account.hmac")
    drop_in = render(
        "systemd/certbot.conf.j2",
        acme_ca=layout.ACME_CA if materials.acme_ca is not None else None,
        aws_credentials=layout.DNS_CREDENTIALS
        if credentials and dns is not None and dns.provider == "route53"
        else None,
    )
    files += [
        DesiredFile(
            layout.DEPLOY_HOOK,
            render(
                "shell/deploy.sh.j2",
                tls_etc=layout.TLS_ETC,
                state=layout.STATE,
                clear_sockets=layout.CLEAR_SOCKETS,
            ),
            Effect.RENEWAL,
            "installs renewed certificates",
            mode=0o755,
        ),
        DesiredFile(
            layout.CERTBOT_DROP_IN, drop_in, Effect.RENEWAL, "settings of the renewal service"
        ),
        DesiredFile(
            layout.CERTBOT_CONFIG,
            render(
                "acme/certbot.ini.j2",
                acme=acme,
                dns=dns,
                plugin=PLUGINS[dns.provider] if dns is not None else None,
                credentials=layout.DNS_CREDENTIALS
                if credentials and dns is not None and dns.provider != "route53"
                else None,
                domain=answers.registry.domain,
                lineage=layout.LINEAGE,
                challenges=layout.CHALLENGES,
                hook=layout.DEPLOY_HOOK,
                hmac=hmac.reveal() if hmac is not None else "",
            ),
            Effect.CERTIFICATE,
            ("ssl.acme",),
            mode=0o600,
        ),
    ]
    return files


def _credentials(dns: DnsChallenge, materials: Materials) -> bytes:
    """Return the credentials file in the format of certbot's plugin."""
    values = {}
    for name, value in dns.credentials.items():
        path = f"ssl.acme.dns.credentials.{name}"
        values[name] = materials.secrets[path].reveal() if is_reference(value) else str(value)
    if dns.provider == "google":
        return values["service_account"].encode() + b"\n"
    prefix = "aws_" if dns.provider == "route53" else f"dns_{dns.provider}_"
    return render(
        "acme/credentials.ini.j2",
        is_aws=dns.provider == "route53",
        values={prefix + name: value for name, value in values.items()},
    )
