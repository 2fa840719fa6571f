"""Show the longest bars of H1 as rings of images: of every class and of the sample of all.

| output | holds |
| --- | --- |
| loops.parquet | a row per image of a ring, in the order around it; see LOOPS in |
| | stages/core/topology/loops.py |

The images are those that the diagrams are of, and each bar is one of these diagrams. What the ring
of a bar is stands in stages/core/topology/cycles.py.
"""

from pathlib import Path

import click
import pandas as pd
from threadpoolctl import threadpool_limits

from stages.core.artifacts.diagrams import ALL, WHOLE, read_diagrams, read_members
from stages.core.artifacts.embeddings import level_key, read_embeddings
from stages.core.artifacts.tables import require_same, write_parquet
from stages.core.runtime.budget import state_cost
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.files import rounded, write_json
from stages.core.runtime.parallel import available_cores
from stages.core.runtime.wording import at_levels, count, from_to
from stages.core.topology.cost import BYTES_PER_PAIR
from stages.core.topology.loops import LOOPS, OWN, SECONDS_A_PAIR, loops_table, no_loops
from stages.settings.loops import LoopsParams

SECONDS_A_CLOUD = 0.04  # and its null cloud, on one core, beside SECONDS_A_PAIR


@stage(LoopsParams)
@path_option("--embeddings", "data/embeddings", "The embeddings artifact.")
@path_option("--diagrams", "data/diagrams", "The folder of the diagrams.")
@path_option("--loops", "data/loops.parquet", "Where every ring goes.")
@path_option("--metrics", "metrics/loops.json", "Where the metrics go.")
def loops(
    params: LoopsParams, embeddings: Path, diagrams: Path, loops: Path, metrics: Path
) -> None:
    """Find the loops of every class and noise level, each a ring of images."""
    artifact = read_embeddings(embeddings)
    file = diagrams / "diagrams.parquet"
    source = read_diagrams(file)
    require_same(source.run, artifact.run, file, "the embeddings", "persistence")
    members = read_members(diagrams / "clouds.parquet", source)
    has_loops = any(len(by_dim) > 1 for by_dim in source.bars.values())
    if has_loops:
        whole = members[members["part"] == WHOLE]
        ids = pd.Index(artifact.images["id"])
        rows = {
            group: ids.get_indexer(of_group["id"])
            for group, of_group in whole.groupby("group", sort=False)
        }
        _state_cost([len(of_group) for of_group in rows.values()], len(artifact.levels))
        with threadpool_limits(1):
            table = loops_table(
                artifact, rows, params.per_class, params.overall, params.seed, source.ground
            )
    else:
        table = no_loops()

    about = {"run": artifact.run, "diagrams": source.content, **source.ground.about}
    write_parquet(loops, table, LOOPS, about)
    rings = _rings(table)
    write_json(metrics, _metrics(rings))
    own = rings[rings["cloud"] == OWN]
    if not has_loops:
        click.echo("loops: not applicable, persistence.max_dim is 0")
    elif own.empty:
        click.echo("no group has a loop at any level")
    else:
        click.echo(
            f"{count(len(own), 'loop')} of {count(own['group'].nunique(), 'group')} "
            f"{at_levels(own['noise'].unique())}, "
            f"of {from_to(own['points'].min(), own['points'].max())} images"
        )


def _state_cost(sizes: list[int], levels: int) -> None:
    """What the loops of groups of so many images take, with the null cloud of each."""
    workers = available_cores()
    state_cost(
        "loops",
        f"rings in {count(2 * levels * len(sizes), 'cloud')} of up to {max(sizes):,} points",
        levels * sum(SECONDS_A_CLOUD + SECONDS_A_PAIR * n**2 for n in sizes) / workers,
        workers * BYTES_PER_PAIR[1] * max(sizes) ** 2,
        "lower persistence.points_per_class or points_overall",
        workers,
    )


def _rings(table: pd.DataFrame) -> pd.DataFrame:
    """A row per loop: group, noise, cloud, rank, its persistence and the points in its ring."""
    of_loop = table.groupby(["group", "noise", "cloud", "rank"], sort=False)
    rings = of_loop.agg(birth=("birth", "first"), death=("death", "first"), points=("id", "size"))
    return rings.assign(persistence=rings["death"] - rings["birth"]).reset_index()


def _metrics(rings: pd.DataFrame) -> dict:
    """For each level and cloud, of the longest loop: its persistence and the points in its ring.

    Of the classes with a loop the medians, and those of `all`.
    """
    result: dict = {"loops": int((rings["cloud"] == OWN).sum())}
    longest = rings[rings["rank"] == 1]
    kinds = longest["group"].eq(ALL).map({True: ALL, False: "class_median"})
    medians = longest.groupby(["noise", kinds, "cloud"])[["persistence", "points"]].median()
    for (level, kind, cloud), row in medians.iterrows():
        scalars = {key: rounded(value) for key, value in row.items()}
        result.setdefault(level_key(level), {}).setdefault(kind, {})[cloud] = scalars
    return result


if __name__ == "__main__":
    loops()
