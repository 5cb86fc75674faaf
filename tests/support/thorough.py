"""Whether the long proofs run: each place, value and seed, instead of some of them."""

from __future__ import annotations

import os

import pytest

IS_THOROUGH = bool(os.environ.get("MOORAGE_THOROUGH"))
THOROUGH = pytest.mark.skipif(not IS_THOROUGH, reason="only with MOORAGE_THOROUGH=1")
