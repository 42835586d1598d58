"""Does every head learn something, and does every weight that is named count?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from lamplighter.errors import ConfigError, explain
from lamplighter.train.data.cache import CachedFrames
from lamplighter.train.data.cached_heads import JUDGED_FRAMES
from lamplighter.train.data.dataset import frame_weights
from lamplighter.train.data.frame import Frame
from lamplighter.train.data.streaming import parts_of, sampled
from lamplighter.train.head_config import HeadData
from lamplighter.train.loss_config import LossSettings
from lamplighter.train.prepare import PreparedData


def learnt_labels(head: HeadData, loss: LossSettings | None = None) -> dict[str, float]:
    """Return the weight of every label that a head learns, masked ones left out.

    Args:
        head: settings.
        loss: whose terms of weight 0 are left out too; None leaves out none.
    """
    weights = {p: head.weight * getattr(head, f"{p}_weight") for p in head.properties}
    terms = None if loss is None else loss.learnt
    return {
        name: weight
        for name, weight in weights.items()
        if weight > 0 and (terms is None or name in terms)
    }


def check_learning(
    heads: Iterable[HeadData], data: PreparedData, loss: LossSettings
) -> None:
    """Refuse a head whose weights are all 0, and patterns that fit no config_type.

    Of a cache some frames are looked at.

    Args:
        heads: those that are trained.
        data: frames of these heads, and of others.
        loss: the terms of the loss and their weights.

    Raises:
        ConfigError: as above.
    """
    frames = {h.head.name: h.train for h in data.heads}
    for head in heads:
        if not any(
            _teaches(frame, head, loss)
            for part in parts_of(frames[head.name])
            for frame in sampled(part, JUDGED_FRAMES)
        ):
            raise ConfigError(
                explain(
                    f"head {head.name!r} learns nothing: all its weights are 0",
                    got=f"properties {', '.join(head.properties)}, of which the loss "
                    f"counts {', '.join(learnt_labels(head, loss)) or 'none'}",
                    wanted="a frame that has one of its properties, with weights of "
                    "head, property, config_type and frame above 0",
                )
            )
    kinds = {kind for use in ("train", "validation") for kind in _kinds(data, use)}
    for pattern in loss.config_type_weights:
        if not any(fnmatchcase(kind, pattern) for kind in kinds):
            raise ConfigError(
                explain(
                    "loss.config_type_weights names a config_type that no frame has",
                    got=repr(pattern),
                    wanted=f"patterns that fit among {', '.join(sorted(kinds))}",
                )
            )


def _teaches(frame: Frame, head: HeadData, loss: LossSettings) -> bool:
    if frame.is_isolated_atom and not loss.use_isolated_atoms:
        return False
    weights = frame_weights(frame, head, loss)
    return any(getattr(weights, name) > 0 for name in loss.learnt)


def _kinds(data: PreparedData, use: str) -> set[str]:
    parts: Sequence[Sequence[Frame]] = parts_of(data.frames(use))
    return {
        kind
        for part in parts
        for kind in (
            part.cache.config_types
            if isinstance(part, CachedFrames)
            else (frame.config_type for frame in part)
        )
    }
