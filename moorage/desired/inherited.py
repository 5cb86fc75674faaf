"""What an nginx.conf sets for all sites, and what comes of it for the registry."""

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
    # One of its own is what keeps a server from taking over the others.
    "error_page": "error_page 599 /;",
}
"""Modules and versions that have these differ, so they are undone where they are set only."""

HEEDED = frozenset(
    {
        "allow", "deny", "limit_conn", "limit_rate", "limit_req", "modsecurity",
        "access_by_lua", "access_by_lua_block", "access_by_lua_file",
        "rewrite_by_lua", "rewrite_by_lua_block", "rewrite_by_lua_file",
        "ssl_verify_client", "set_real_ip_from", "real_ip_header",
    }
)  # fmt: skip
"""Set for all sites on purpose, most likely: it goes for the registry as well, and is said."""


def undo(directives: Iterable[str]) -> tuple[str, ...]:
    """Return the lines that undo what an nginx.conf sets for all sites.

    What every nginx knows is in nginx/inherited.conf.j2, whether it is set or not.

    Args:
        directives: The names of the directives at http level.
    """
    return tuple(line for name, line in _UNDONE.items() if name in set(directives))


def undone_in(text: str) -> frozenset[str]:
    """Return the names of the directives that an inherited.conf undoes; see :func:`undo`.

    Args:
        text: The file's content.
    """
    lines = {line.strip() for line in text.splitlines()}
    return frozenset(name for name, line in _UNDONE.items() if line in lines)
