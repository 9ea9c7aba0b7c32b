"""Kills a worker before its n-th file operation below a folder, as a power cut might; see `deadly_clock`."""

import os

if "PROBE_DIE_AT" in os.environ and os.environ.get("MODELYARD_JOB", "").endswith("/1/1"):
    from deadly_clock import arm

    arm(os.environ["PROBE_DIE_BELOW"], int(os.environ["PROBE_DIE_AT"]))
