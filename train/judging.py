"""Validation frames judged by all processes of a run."""

from __future__ import annotations

from collections.abc import Sequence

from lamplighter.model import Potential
from lamplighter.train.data.dataset import Item
from lamplighter.train.evaluation import Residual, evaluation_groups, item_residuals
from lamplighter.train.ranks import Ranks


def shared_residuals(
    potential: Potential, items: Sequence[Item], ranks: Ranks, *, edge_chunk: int = 0
) -> list[Residual]:
    """Return predicted minus labelled for every frame, the same in every process.

    The processes judge the batches that one process would, each some of them, so that
    the numbers do not depend on how many there are.

    Args:
        potential: judged in its own precision.
        items: frames with their graphs.
        ranks: the processes of the run.
        edge_chunk: pairs that a layer looks at together, as in training; 0: all.

    Raises:
        RankFailedError: another process has failed.
    """
    if ranks.size == 1:
        return item_residuals(potential, items, edge_chunk=edge_chunk)
    own: dict[int, Residual] = {}
    with ranks.together("a validation"):
        for group in evaluation_groups(items)[ranks.rank :: ranks.size]:
            own_items = [items[k] for k in group]
            found = item_residuals(potential, own_items, edge_chunk=edge_chunk)
            own.update(zip(group, found, strict=True))
    merged = {k: one for part in ranks.gather(own) for k, one in part.items()}
    return [merged[k] for k in range(len(items))]
