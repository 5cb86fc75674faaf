"""Whether the long proofs run: each place, value and seed, instead of some of them."""

from __future__ import annotations

import os

IS_THOROUGH = bool(os.environ.get("MOORAGE_THOROUGH"))
