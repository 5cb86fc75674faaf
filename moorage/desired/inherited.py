"""Settings for all sites in nginx.conf, and how they affect the registry."""

from __future__ import annotations

from collections.abc import Iterable

_UNDONE = {
    "brotli": "brotli off;",
    "zstd": "zstd off;",
    "http2": "http2 off;",
    "mirror": "mirror off;",
    "proxy_bind": "proxy_bind off;",
    "sub_filter": "sub_filter_types application/x-moorage-nothing;",
    "add_before_body": 'add_before_body "";',
    "add_after_body": 'add_after_body "";',
    "recursive_error_pages": "recursive_error_pages off;",
    # An error_page of its own keeps a server from inheriting others.
    "error_page": "error_page 599 /;",
}
"""Not every nginx has these directives, so they are reset only if nginx.conf sets them."""

HEEDED = frozenset(
    {
        "allow", "deny", "limit_conn", "limit_rate", "limit_req", "modsecurity",
        "access_by_lua", "access_by_lua_block", "access_by_lua_file",
        "rewrite_by_lua", "rewrite_by_lua_block", "rewrite_by_lua_file",
        "ssl_verify_client", "set_real_ip_from", "real_ip_header",
    }
)  # fmt: skip
"""Most likely set for all sites on purpose: they apply to the registry, too, with a notice."""


def undo(directives: Iterable[str]) -> tuple[str, ...]:
    """Return the lines that reset directives set in nginx.conf.

    Directives that every nginx has are always reset, in nginx/inherited.conf.j2.

    Args:
        directives: The names of the directives at http level.
    """
    return tuple(line for name, line in _UNDONE.items() if name in set(directives))


def undone_in(text: str) -> frozenset[str]:
    """Return the names of the directives that an inherited.conf resets; see :func:`undo`.

    Args:
        text: The file's content.
    """
    lines = {line.strip() for line in text.splitlines()}
    return frozenset(name for name, line in _UNDONE.items() if line in lines)
