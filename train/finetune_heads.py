"""The heads of a post-training: what is refused, and how a new one starts."""

from __future__ import annotations

from collections.abc import Sequence

from lamplighter.errors import ConfigError, explain
from lamplighter.model import Potential, torch_dtype
from lamplighter.train.data.dataset import Item, make_items
from lamplighter.train.data.frame import Frame
from lamplighter.train.finetune_config import FinetuneConfig, NewHead
from lamplighter.train.heads import FittedHead
from lamplighter.train.new_heads import fit_new_head
from lamplighter.train.prepare import PreparedData
from lamplighter.train.readout_start import fit_first_readout
from lamplighter.train.results import USES


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
    for frame in (f for use in USES for f in data.frames(use)):
        lacking = set(frame.atoms().get_chemical_symbols()) - known
        if lacking:
            raise ConfigError(
                explain(
                    f"{frame.source}: the base model does not know an element",
                    got=", ".join(sorted(lacking)),
                    wanted=f"only {', '.join(base.config.elements)}",
                    fix="start from a base that was trained with it",
                )
            )


def new_head(head: NewHead, data: PreparedData, base: Potential) -> FittedHead:
    """Return a head with E0 from its data and the scale of the one it starts from.

    Raises:
        DataError: the data do not determine an E0.
    """
    (own,) = [h.train for h in data.heads if h.head.name == head.name]
    return fit_new_head(head, own, base)


def start_readouts(
    config: FinetuneConfig, data: PreparedData, potential: Potential
) -> None:
    """Let every new head meet the energies of its training frames."""
    for head in config.heads:
        (own,) = [h.train for h in data.heads if h.head.name == head.name]
        fit_first_readout(potential, training_items(config, own, potential), head.name)


def training_items(
    config: FinetuneConfig, frames: Sequence[Frame], potential: Potential
) -> list[Item]:
    """Return frames as graphs with the weights of their heads."""
    return make_items(
        [f for f in frames if config.loss.use_isolated_atoms or not f.is_isolated_atom],
        potential.config,
        heads=(*config.heads, *config.replay_heads),
        loss=config.loss,
        dtype=torch_dtype(config.run.compute_dtype),
        device=config.run.device,
    )
