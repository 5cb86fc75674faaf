"""certbot's DNS plugins in Debian, and the credentials each needs.

Credentials are named as in the plugins' documentation, without the plugin's prefix: their
``dns_rfc2136_secret`` is ``secret`` here.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class DnsPlugin:
    """A certbot plugin that creates the record for a DNS-01 challenge.

    Attributes:
        name: certbot's name for it, after ``dns-``.
        secrets: The secret credentials.
        plain: The other credentials.
        optional: The names of optional credentials, secret or not.
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
        """Its name in certbot's configuration."""
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
            # Without keys, the server's own role is used.
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
