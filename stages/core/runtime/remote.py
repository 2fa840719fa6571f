"""Where maps compute if not on this machine, and what they need to be given there."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Files(NamedTuple):
    """What an item of a map reads and writes; a folder that is read stands for all files in it."""

    reads: Sequence[Path] = ()
    writes: Sequence[Path] = ()


def cluster_address() -> str | None:
    """The address of the Dask scheduler whose workers compute, where STUDY_CLUSTER names one."""
    return os.environ.get("STUDY_CLUSTER") or None


def storage_address() -> str | None:
    """The address of the storage of a cluster whose workers do not see the study's folder.

    None where STUDY_SHARED gives none, or there is no cluster.
    """
    return (os.environ.get("STUDY_SHARED") or None) if cluster_address() else None
