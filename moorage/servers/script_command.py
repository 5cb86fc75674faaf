"""The command line every script is started with, and how its output is told from its shell's.

The command line is the same for every script and every server, and holds nothing worth hiding: the
script, its data and sudo's password all travel over standard input.
"""

from __future__ import annotations

READY = b"moorage:ready\n"
"""What the shell says on both outputs once it is root and listens."""
GO = b"moorage:go\n"
"""What the shell waits for; everything before it was meant for sudo."""
PROMPT = b"moorage:sudo-password:"
"""What sudo asks for a password with. Told from anything sudo says by being no language."""
NOT_STARTED = 97
"""The exit status of a shell whose input ended before a script arrived."""

# One line without single quotes, backslashes and exclamation marks, so that every login shell
# (csh and fish too) passes it on as it is.
#
# dd, and not head -c: busybox's head reads ahead and swallows the beginning of the payload.
# A full block is one read of exactly the script's length on GNU and busybox alike.
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
"""The argument list for somebody who is root already."""
WITH_SUDO = ("env", "LC_ALL=C", "sudo", "-S", "-p", PROMPT.decode(), "--", *AS_ROOT)
"""The argument list for everybody else. sudo speaks English so that its refusals are understood."""


def command_line(arguments: tuple[str, ...]) -> str:
    """Write an argument list for a login shell.

    Args:
        arguments: Either of the two above; without single quotes.
    """
    return "exec " + " ".join(
        f"'{argument}'" if set(argument) & set(' "$;><=:[]') else argument for argument in arguments
    )


def preamble(script: str) -> bytes:
    """Everything that goes in front of the payload.

    Args:
        script: The POSIX shell script to run.
    """
    body = script.encode() + b"\n"
    return GO + f"{len(body)}\n".encode() + body
