"""The registry's memory limit, and the number of concurrent layer downloads.

The registry reads a layer through a 4 MiB buffer (fileReaderBufferSize in distribution's
registry/storage/filereader.go), which it keeps until the download ends.
"""

from __future__ import annotations

MiB = 1024**2
_A_PULL = 5 * MiB
_WITHOUT_PULLS = 32 * MiB
_FEWEST = 8


def memory_limit(memory: int) -> int:
    """Return the memory limit for the registry's garbage collector in bytes.

    Args:
        memory: The server's memory in bytes, as reported by its kernel.
    """
    return _nominal(memory) // 4


def most_pulls(memory: int) -> int:
    """Return the limit of concurrent layer downloads; clients over it have to retry.

    Args:
        memory: The server's memory in bytes, as reported by its kernel.
    """
    return max(_FEWEST, (memory_limit(memory) - _WITHOUT_PULLS) // _A_PULL)


def _nominal(memory: int) -> int:
    """Return the machine's nominal memory: the kernel's figure changes with its version."""
    size = 512 * MiB
    while size < memory:
        # 512 MiB, 768 MiB, 1 GiB, 1.5 GiB, 2 GiB and so on.
        size += size // 2 if size & (size - 1) == 0 else size // 3
    return size
