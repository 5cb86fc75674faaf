"""The command line that starts every script, and the markers that delimit the script's output.

The command line is the same for every script and every server, and contains nothing confidential:
the script, its data and the sudo password all travel over standard input.
"""

from __future__ import annotations

READY = b"moorage:ready\n"
"""Printed by the shell on both outputs once it is root and reads its input."""
GO = b"moorage:go\n"
"""The line the shell waits for; all input before it is for sudo."""
PROMPT = b"moorage:sudo-password:"
"""sudo's password prompt, chosen so that no message of sudo's can contain it."""
NOT_STARTED = 97
"""The exit status of a shell whose input ended before a script arrived."""

# A single line without single quotes, backslashes or exclamation marks, so that every login shell
# (including csh and fish) passes it on unchanged.
#
# dd instead of head -c: busybox's head reads ahead and swallows the start of the payload.
# With iflag=fullblock, dd reads exactly the script's length on GNU and busybox.
_BOOT = (
    "umask 022; cd /; LC_ALL=C.UTF-8; unset LANGUAGE OLDPWD; "
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export LC_ALL PATH; "
    f"echo {READY.decode().strip()}; echo {READY.decode().strip()} >&2; "
    "while IFS= read -r line; do "
    f'if [ "$line" = {GO.decode().strip()} ]; then '
    "IFS= read -r line; "
    'eval "$(dd bs="$line" count=1 iflag=fullblock 2>/dev/null)"; exit; '
    f"fi; done; exit {NOT_STARTED}"
)

AS_ROOT = ("sh", "-c", _BOOT)
"""The argument list for root."""
WITH_SUDO = ("env", "LC_ALL=C", "sudo", "-S", "-p", PROMPT.decode(), "--", *AS_ROOT)
"""The argument list for other users. LC_ALL=C, so that sudo's messages can be parsed."""


def command_line(arguments: tuple[str, ...]) -> str:
    """Quote an argument list for a login shell.

    Args:
        arguments: One of the two lists above; without single quotes.
    """
    return "exec " + " ".join(
        f"'{argument}'" if set(argument) & set(' "$;><=:[]') else argument for argument in arguments
    )


def preamble(script: str) -> bytes:
    """Return the input that precedes the payload.

    Args:
        script: The POSIX shell script to run.
    """
    body = script.encode() + b"\n"
    return GO + f"{len(body)}\n".encode() + body
