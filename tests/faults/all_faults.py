"""Imports every module of faults, so that harness.FAULTS has them all."""

import damaged_files  # noqa: F401
import full_folders  # noqa: F401
import hostile_files  # noqa: F401
import invariants  # noqa: F401
import killed_runs  # noqa: F401
import killed_writers  # noqa: F401
import odd_inputs  # noqa: F401
import odd_trials  # noqa: F401
import odd_values  # noqa: F401
import two_versions  # noqa: F401
