"""The settings of a head: its data, its theory, and how strongly it is trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from lamplighter.train.data.labels import LabelSettings
from lamplighter.train.setting_check import check

Property = Literal["energy", "forces", "stress", "hessian"]
PROPERTIES: tuple[Property, ...] = get_args(Property)
"""What a head can be trained on."""
ReferenceSource = Literal["isolated", "foundation", "fit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasSettings:
    """A correction of E0 by element that is trained with everything else.

    Attributes:
        trainable: whether there is one.
        prior: how far E0 is expected to be off, eV; also the scale of its steps.
        strength: factor on what the bias costs, ``(bias / prior)^2 / 2`` for every
            element, to be compared with the other terms of the loss.
    """

    trainable: bool = False
    prior: float = 0.1
    strength: float = 1e-4

    def __post_init__(self) -> None:
        check(self.prior > 0, "reference_bias: prior", self.prior, "more than 0 eV")
        ok = self.strength >= 0
        check(ok, "reference_bias: strength", self.strength, "at least 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadData:
    """One head: its data, its level of theory, and its share of the training.

    Attributes:
        name: name of the head.
        level: level of theory; frames that name another are refused.
        files: labelled structures; ``dataset:NAME`` is a shipped set.
        validation_files: structures for validation; none means that a part of `files`
            is held out.
        test_files: structures that are only evaluated at the end.
        exclude: patterns of config_type that are left out of `files`, for labels that
            contradict others of the head (another spin state, say).
        reference_energies: energy of the free atom of each element, eV; elements not
            named come from IsolatedAtom frames, then from a fit.
        reference_like: another head with the same geometries (uid) whose interaction
            energies the fit of the reference energies should reproduce, so that both
            heads count energies from alike atoms.
        reference_fit: "plain" refuses elements that the data do not determine;
            "minimum-norm" stays as close as possible to the atoms of `reference_like`
            (or of `start_from`, or to zero).
        reference_sources: where E0 of elements that are not in `reference_energies`
            comes from, first match first: "isolated" atoms in the data, the
            "foundation" (`reference_model`; in post-training the head it starts from),
            a least-squares "fit". An element that none of them determines is refused;
            "foundation" after "fit" settles what the fit leaves open.
        reference_model: potential whose E0 is the foundation; ``model:base`` is the
            shipped one.
        reference_head: head of `reference_model`.
        reference_bias: trainable correction of E0.
        dispersion: "none", "included" in the labels, or the rule to add, "d3bj:pbe".
        licence: licence of the data.
        source: where the data come from.
        quota: share of the frames of a batch, relative to the quotas of the other
            heads (in post-training: of the other old, or new, ones); all of them have
            one, or none: None leaves the shares to the sampling mode.
        weight: factor on every loss term of this head.
        energy_weight: factor on the energy term of this head.
        forces_weight: factor on the force term of this head.
        stress_weight: factor on the stress and virial terms of this head.
        hessian_weight: factor on the Hessian term of this head.
        labels: names and units of the labels in the files.
        properties: the labels that this head is trained on; others that its files hold
            are left out of the loss.
    """

    name: str
    level: str
    files: tuple[Path, ...]
    validation_files: tuple[Path, ...] = ()
    test_files: tuple[Path, ...] = ()
    exclude: tuple[str, ...] = ()
    reference_energies: dict[str, float] = field(default_factory=dict)
    reference_like: str | None = None
    reference_fit: Literal["plain", "minimum-norm"] = "plain"
    reference_sources: tuple[ReferenceSource, ...] = ("isolated", "fit")
    reference_model: Path | None = None
    reference_head: str | None = None
    reference_bias: BiasSettings = BiasSettings()
    dispersion: str = "none"
    licence: str = ""
    source: str = ""
    quota: float | None = None
    weight: float = 1.0
    energy_weight: float = 1.0
    forces_weight: float = 1.0
    stress_weight: float = 1.0
    hessian_weight: float = 1.0
    properties: tuple[Property, ...] = PROPERTIES
    labels: LabelSettings = field(default_factory=LabelSettings)

    def __post_init__(self) -> None:
        where = f"head {self.name!r}"
        check(bool(self.name.strip()), "heads: name", self.name, "a name")
        check(bool(self.level.strip()), f"{where}: level", self.level, "a level")
        check(bool(self.files), f"{where}: files", self.files, "at least one file")
        for name in ("weight", *(f"{p}_weight" for p in PROPERTIES)):
            value = getattr(self, name)
            check(value >= 0, f"{where}: {name}", value, "at least 0")
        known = set(self.properties) <= set(PROPERTIES)
        wanted = f"some of {', '.join(PROPERTIES)}"
        ok = known and len(set(self.properties)) == len(self.properties) > 0
        check(ok, f"{where}: properties", self.properties, f"{wanted}, each once")
        once = len(set(self.reference_sources)) == len(self.reference_sources) > 0
        sources = ", ".join(self.reference_sources)
        wanted = "some of isolated, foundation, fit, each once"
        check(once, f"{where}: reference_sources", sources or "none", wanted)
        used = self.reference_model is None or "foundation" in self.reference_sources
        wanted = "foundation among reference_sources, or no reference_model"
        check(used, f"{where}: reference_sources", sources, wanted)
        ok = self.reference_head is None or self.reference_model is not None
        check(
            ok, f"{where}: reference_model", "none", "the potential of reference_head"
        )
        if self.quota is not None:
            check(self.quota > 0, f"{where}: quota", self.quota, "more than 0")
