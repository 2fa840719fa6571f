"""Ground: by which distance of points diagrams were computed, as their file says it.

What the distances are stands in stages/core/topology/metrics.py.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from stages.core.runtime.errors import StudyError, quoted
from stages.core.runtime.files import make_again

WHOLE = re.compile("[1-9][0-9]{0,9}")


@dataclass(frozen=True)
class Ground:
    """The distance between points that a study's diagrams are of, with the settings it takes.

    metric: one of METRICS in stages/core/topology/metrics.py. neighbours, diffusion_steps: those of
    persistence; None where the metric does not take them.
    """

    metric: str = "euclidean"
    neighbours: int | None = None
    diffusion_steps: int | None = None

    @property
    def about(self) -> dict[str, str]:
        """What a table says of it: its fields as text, those that are None left out."""
        return {key: str(value) for key, value in asdict(self).items() if value is not None}


EUCLIDEAN = Ground()


def read_ground(about: Mapping[str, str], file: Path, stage: str) -> Ground:
    """The ground that a table says to be of; Euclidean where it says none, as it once was always.

    Raises StudyError for a setting that is no whole number from 1 on.
    """
    counts = {}
    for key in ("neighbours", "diffusion_steps"):
        if (text := about.get(key)) is None:
            continue
        if not WHOLE.fullmatch(text):
            raise StudyError(
                f"{file}: {key} is {quoted(text)}, not a whole number from 1 on; "
                f"{make_again(stage)}"
            )
        counts[key] = int(text)
    return Ground(about.get("metric", EUCLIDEAN.metric), **counts)
