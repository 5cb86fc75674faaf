"""How many layers a server sends at a time, and what the registry's memory may grow to.

The registry reads a layer through a buffer of 4 MiB (fileReaderBufferSize in distribution's
registry/storage/filereader.go), which it keeps for as long as the pull lasts.
"""

from __future__ import annotations

MiB = 1024**2
_A_PULL = 5 * MiB
_WITHOUT_PULLS = 32 * MiB
_FEWEST = 8


def memory_limit(memory: int) -> int:
    """Return the bytes of memory that the registry's garbage collector keeps it below.

    Args:
        memory: The bytes of memory that the server's kernel says it has.
    """
    return _nominal(memory) // 4


def most_pulls(memory: int) -> int:
    """Return how many layers are sent at a time; what is more is asked to come back.

    Args:
        memory: The bytes of memory that the server's kernel says it has.
    """
    return max(_FEWEST, (memory_limit(memory) - _WITHOUT_PULLS) // _A_PULL)


def _nominal(memory: int) -> int:
    """Return the memory a machine is sold with: the kernel's figure changes with its version."""
    size = 512 * MiB
    while size < memory:
        # 512 MiB, 768 MiB, 1 GiB, 1.5 GiB, 2 GiB and so on.
        size += size // 2 if size & (size - 1) == 0 else size // 3
    return size
