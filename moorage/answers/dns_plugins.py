"""certbot's DNS plugins: which Debian packages them, and what each wants to log in with.

The names of the credentials are those of the plugins' own documentation, without the plugin's
prefix: what they call ``dns_rfc2136_secret`` is ``secret`` here.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class DnsPlugin:
    """A plugin of certbot that makes the record a DNS-01 challenge wants.

    Attributes:
        name: What certbot calls it, after ``dns-``.
        secrets: Credentials that are secrets.
        plain: Credentials that are not.
        optional: Those of both that may be left out.
    """

    name: str
    secrets: tuple[str, ...]
    plain: tuple[str, ...] = ()
    optional: frozenset[str] = field(default_factory=frozenset)

    @property
    def package(self) -> str:
        """The Debian package."""
        return f"python3-certbot-dns-{self.name}"

    @property
    def authenticator(self) -> str:
        """What certbot's configuration calls it."""
        return f"dns-{self.name}"


PLUGINS = {
    plugin.name: plugin
    for plugin in (
        DnsPlugin(
            "rfc2136",
            ("secret",),
            ("server", "port", "name", "algorithm"),
            frozenset({"port", "algorithm"}),
        ),
        DnsPlugin(
            "route53",
            ("secret_access_key",),
            ("access_key_id",),
            # Without keys the server's own role is used.
            frozenset({"secret_access_key", "access_key_id"}),
        ),
        DnsPlugin("cloudflare", ("api_token",)),
        DnsPlugin("digitalocean", ("token",)),
        DnsPlugin("dnsimple", ("token",)),
        DnsPlugin("gehirn", ("api_token", "api_secret")),
        DnsPlugin("google", ("service_account",)),
        DnsPlugin("linode", ("key",), ("version",), frozenset({"version"})),
        DnsPlugin(
            "ovh", ("application_key", "application_secret", "consumer_key"), ("endpoint",)
        ),
        DnsPlugin("sakuracloud", ("api_token", "api_secret")),
    )
}  # fmt: skip
