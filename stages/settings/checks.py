"""What stages need of the classes and of their images.

Each is checked twice: by preflight, of what params and file names tell before a run begins, and by
the stage that needs it, of what it has read. What is needed of settings alone is checked with them:
of one section by the section, of several by preflight.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from stages.core.runtime.errors import StudyError

SAMPLE_OF_ALL = "all"  # the group that no class may be named after


def require_two_classes(classes: Collection[str], where: str | Path) -> None:
    """Raise StudyError for one class alone."""
    if len(classes) < 2:
        raise StudyError(f"{where}: 1 class leaves nothing to tell apart; fetch at least two")


def require_no_class_named_all(classes: Collection[str], where: str | Path) -> None:
    """Raise StudyError for a class that has the name of the sample of all classes."""
    if SAMPLE_OF_ALL in classes:
        raise StudyError(
            f"{where}: a class is named '{SAMPLE_OF_ALL}', which stands for the sample of all "
            "classes; rename its folder"
        )


def require_rank(rank: int | None, span: int, seen: str, centre: bool) -> None:
    """Raise StudyError where a subspace of `rank` dimensions is more than embeddings span.

    seen: the embeddings, as a message names them. Subtracting their mean takes a dimension.
    """
    after = " once centred" if centre else ""
    if span == 0:
        raise StudyError(
            f"angles.centre: {seen} are all alike, nothing is left of them{after}; "
            "set it to false or give the class other images"
        )
    if rank is not None and rank > span:
        raise StudyError(
            f"angles.rank: {rank} is more than the {span} dimensions that {seen} span{after}; "
            f"give at most {span}"
        )


def require_rank_of_images(rank: int | None, counts: Mapping[str, int], centre: bool) -> None:
    """`require_rank` of {class: images} alone, which span a dimension each at most."""
    smallest = min(counts, key=counts.__getitem__)
    seen = f"the {counts[smallest]} images of class {smallest}"
    require_rank(rank, counts[smallest] - centre, seen, centre)


def require_room_for_kept(classes: Sequence[str], kept: Collection[str], count: int) -> list[str]:
    """The `kept` of the classes; raises StudyError where they are more than the `count` drawn."""
    found = [name for name in classes if name in kept]
    if len(found) > count:
        raise StudyError(
            f"project.sampled_classes: {count}, but {len(found)} classes of the data are in "
            f"project.kept_classes ({', '.join(found)}); raise the one or shorten the other"
        )
    return found


def possible_neighbours(counts: Sequence[int], references: int) -> list[int]:
    """Those of the counts that are at most `references`; raises StudyError where none is."""
    possible = [count for count in counts if count <= references]
    if not possible:
        raise StudyError(
            f"classify.knn_neighbours: {min(counts)} is more than the {references} training "
            "images; give a smaller count"
        )
    return possible
