"""Hypothesis profiles: quick, or thorough if MOORAGE_THOROUGH is set."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from thorough import IS_THOROUGH

settings.register_profile("quick", max_examples=50, deadline=None)
settings.register_profile(
    "thorough", max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("thorough" if IS_THOROUGH else "quick")
