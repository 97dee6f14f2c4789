"""Settings of all tests. No test may fail because the machine is busy: examples have no deadline, and CI draws the same ones every time."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "fetlock", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=os.environ.get("CI") == "true", print_blob=True
)
settings.load_profile("fetlock")
