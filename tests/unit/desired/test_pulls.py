"""How many pulls a server takes at a time."""

from __future__ import annotations

import pytest

from moorage.desired.limits import MiB, memory_limit, most_pulls


@pytest.mark.parametrize("gigabytes", [0.5, 1, 2, 3, 4, 8, 16, 24, 64])
def test_the_pull_limit_fits_into_the_allowed_memory(gigabytes: float) -> None:
    memory = int(gigabytes * 1024 * MiB)
    assert memory_limit(memory) <= memory * 0.26
    # The buffers that distribution keeps, and what it takes without them.
    assert 8 * 4 <= 4 * most_pulls(memory) + 20 <= memory_limit(memory) / MiB


def test_memory_reserved_by_the_kernel_does_not_change_the_limit() -> None:
    # Two kernels on one machine of 4 GB.
    assert memory_limit(3_915_264 * 1024) == memory_limit(3_998_012 * 1024) == 1024 * MiB
