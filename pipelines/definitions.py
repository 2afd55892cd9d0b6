"""Dagster's entry point: ``dagster dev -m pipelines.definitions``.

Belongs here: the definitions under the settings of the installation. Does not belong here: anything else.
"""

from __future__ import annotations

from pipelines.defs.job import definitions
from pipelines.settings import Settings

defs = definitions(Settings.of_installation())
