"""The heads of a post-training: what is refused, and how a new one starts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lamplighter.console import complain, info
from lamplighter.errors import ConfigError, explain
from lamplighter.model import Potential
from lamplighter.train.data.cache import CachedFrames
from lamplighter.train.data.frame import Frame
from lamplighter.train.data.streaming import (
    StreamedItems,
    elements_of,
    parts_of,
    sampled,
    without_isolated_atoms,
)
from lamplighter.train.finetune_config import FinetuneConfig, NewHead
from lamplighter.train.heads import FittedHead
from lamplighter.train.loss_config import LossSettings
from lamplighter.train.new_heads import fit_new_head
from lamplighter.train.prepare import PreparedData
from lamplighter.train.readout_start import fit_first_readout
from lamplighter.train.results import USES
from lamplighter.train.training import FIT_FRAMES, items_of

READOUT_FRAMES = 2000
"""Most frames whose energies a new readout meets: their kernel is a square."""


def check_heads_of_base(config: FinetuneConfig, base: Potential) -> None:
    """Refuse heads that are there already, replay of heads that are not, and the like.

    Raises:
        ConfigError: as above.
    """
    names = [h.name for h in base.config.heads]
    there = ", ".join(names)
    for head in config.heads:
        if head.name in names:
            raise ConfigError(
                explain(
                    f"head {head.name!r} exists in the base already",
                    got=f"base heads {there}",
                    wanted="a new name",
                    fix="list its data under replay_heads to train it further",
                )
            )
        base.config.head_index(head.start_from)
    for replay in config.replay_heads:
        spec = base.config.head(replay.name)
        if spec.level_of_theory != replay.level:
            raise ConfigError(
                explain(
                    f"replay head {replay.name!r} has another level of theory",
                    got=replay.level,
                    wanted=spec.level_of_theory,
                )
            )
    replays = config.method not in ("naive", "heads")
    if replays and not config.replay_heads and config.replay.fraction > 0:
        raise ConfigError(
            explain(
                "there is no replay data, so the old heads would drift unseen",
                wanted=f"replay_heads with data of {there}",
                fix="add them, or accept it: replay.fraction: 0, or method: naive",
            )
        )


def check_elements(data: PreparedData, base: Potential) -> None:
    """Refuse frames, for whatever use, with elements that the base does not know.

    Its embedding and its radial networks have no row for such an element, and none that
    could be derived from the others.

    Raises:
        ConfigError: as above; the message names the frame.
    """
    known = set(base.config.elements)
    for part in (p for use in USES for p in parts_of(data.frames(use))):
        lacking = elements_of(part) - known
        if lacking:
            raise ConfigError(
                explain(
                    f"{_where(part, lacking)}: the base model does not know an element",
                    got=", ".join(sorted(lacking)),
                    wanted=f"only {', '.join(base.config.elements)}",
                    fix="start from a base that was trained with it",
                )
            )


def announce_guard(
    config: FinetuneConfig, base: Potential, judged: Collection[str]
) -> None:
    """Say before the run which old heads nothing guards, as none of them is judged.

    Args:
        config: whether limits act.
        base: the potential before.
        judged: heads with held-out frames.
    """
    bare = [h.name for h in base.config.heads if h.name not in judged]
    if not config.replay.guard or not bare:
        return
    text = f"not guarded, without held-out frames: {', '.join(bare)}"
    if len(bare) < len(base.config.heads):
        info(text)
    else:
        complain(f"warning: the guard has nothing to watch; {text}")


def _where(frames: Sequence[Frame], symbols: set[str]) -> str:
    """Return where the first frame with one of some elements comes from."""
    if isinstance(frames, CachedFrames):
        frames = frames.having(symbols)
    return next(f.source for f in frames if elements_of([f]) & symbols)


def new_head(
    head: NewHead, data: PreparedData, base: Potential, loss: LossSettings
) -> FittedHead:
    """Return a head with E0 from its data and the scale of the one it starts from.

    Raises:
        DataError: the data do not determine an E0.
    """
    (own,) = [h.train for h in data.heads if h.head.name == head.name]
    return fit_new_head(head, sampled(own, FIT_FRAMES), base, loss)


def start_readouts(
    config: FinetuneConfig, data: PreparedData, potential: Potential
) -> None:
    """Let every new head meet the energies of its training frames."""
    for head in config.heads:
        (own,) = [h.train for h in data.heads if h.head.name == head.name]
        few = _some(own, READOUT_FRAMES)
        fit_first_readout(potential, training_items(config, few, potential), head.name)


def _some(frames: Sequence[Frame], most: int) -> Sequence[Frame]:
    """Return at most `most` frames; those of lists at equal distances."""
    found = sampled(frames, most)
    return found[:: -(-len(found) // most)] if found else found


def training_items(
    config: FinetuneConfig, frames: Sequence[Frame], potential: Potential
) -> StreamedItems:
    """Return the frames to learn from as graphs with their weights."""
    if not config.loss.use_isolated_atoms:
        frames = without_isolated_atoms(frames)
    return judged_items(config, frames, potential)


def judged_items(
    config: FinetuneConfig, frames: Sequence[Frame], potential: Potential
) -> StreamedItems:
    """Return frames as graphs with the weights of their heads; caches stay on disk."""
    heads = (*config.heads, *config.replay_heads)
    return items_of(frames, potential.config, heads, config.loss, config.run)
