"""A potential judged on labelled files: errors in every grouping, frame by frame."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.files import atomic_path, sha256_file
from lamplighter.model import Potential, load_potential
from lamplighter.train.data.cache import Cache
from lamplighter.train.data.frame import Frame
from lamplighter.train.data.labels import LabelSettings
from lamplighter.train.data.limits import ReaderLimits
from lamplighter.train.data.reader import frames_to_judge
from lamplighter.train.data.sources import expand_files, is_cache
from lamplighter.train.error_groups import GROUPINGS, Grouping, domain_of, table_of
from lamplighter.train.errors_table import UNITS, ErrorTable
from lamplighter.train.evaluation import Residual, residuals
from lamplighter.train.prepare import keep_hash, resolve
from lamplighter.train.run_log import finite
from lamplighter.train.xyz_writer import labelled_atoms, write_xyz

RESAMPLES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a potential is worth on labelled frames.

    Attributes:
        model: file name of the potential.
        sha256: of that file.
        head: the head that judged all frames; None: the head that each names.
        dtype: of the evaluation.
        files: SHA-256 of the labelled files by name.
        found: predicted minus labelled, in the order of the files.
    """

    model: str
    sha256: str
    head: str | None
    dtype: str
    files: Mapping[str, str]
    found: Sequence[Residual]

    def table(self, by: Grouping = "config_type") -> ErrorTable:
        """Return the errors of every head by "config_type", "element" or "domain"."""
        return table_of(self.found, by)

    def missing(self) -> dict[str, int]:
        """Return how many frames lack the energy, the forces or the stress.

        Single atoms have no forces and no stress to lack, nor has a frame without
        volume a stress.
        """
        frames = [r.frame for r in self.found]
        return {
            "energy": sum(not np.isfinite(f.energy) for f in frames),
            "forces": sum(f.forces is None and f.n_atoms > 1 for f in frames),
            "stress": sum(
                f.stress is None and f.volume > 0 and f.n_atoms > 1 for f in frames
            ),
        }

    def to_json(self) -> dict[str, Any]:
        """Return everything but the single frames, for strict JSON."""
        content = {
            "model": self.model,
            "sha256": self.sha256,
            "head": self.head,
            "dtype": self.dtype,
            "files": dict(self.files),
            "frames": len(self.found),
            "without_label": self.missing(),
            "units": UNITS,
            "errors": {f"by_{by}": self.table(by).to_json() for by in GROUPINGS},
        }
        return dict(finite(content))


def judge(
    model: str | os.PathLike[str],
    frames: Sequence[Frame],
    *,
    head: str | None = None,
    dtype: str = "float64",
    device: str = "cpu",
    files: Mapping[str, str] | None = None,
    advance: Callable[[int], None] | None = None,
) -> Judgement:
    """Return what a potential says about labelled frames.

    Args:
        model: a potential (safetensors), or ``model:base``.
        frames: labelled structures; labels that are missing are left out.
        head: judge all frames with this head, whatever head they name; None takes the
            head that each names, or the only one there is.
        dtype: "float64" or "float32".
        device: where to compute, as torch names it.
        files: SHA-256 by name of the files that the frames come from, for the record.
        advance: called with the number of frames that were finished.

    Raises:
        ArtifactError: the model file is unusable.
        ConfigError: the potential lacks heads or elements; the message names them all.
    """
    path = resolve(Path(model))
    potential = load_potential(path, dtype=dtype, device=device)
    frames = _with_heads(potential, frames, head)
    _check_elements(potential, frames, head)
    return Judgement(
        model=path.name,
        sha256=sha256_file(path),
        head=head,
        dtype=dtype,
        files=dict(files or {}),
        found=residuals(potential, frames, head=head, advance=advance),
    )


def read_labelled(
    files: Iterable[str | os.PathLike[str]],
    *,
    head: str | None = None,
    labels: LabelSettings | None = None,
    limits: ReaderLimits | None = None,
) -> tuple[list[Frame], dict[str, str]]:
    """Return the frames of labelled files, and the SHA-256 of each file by name.

    Args:
        files: extended XYZ, databases, HDF5, caches, or ``dataset:NAME``.
        head: of frames that name none.
        labels: names and units of the labels; None means the defaults.
        limits: bounds on labels and geometries; None means the defaults, with frames
            that lack forces allowed.

    Raises:
        DataError: a file is unusable, or holds no frame.
    """
    bounds = limits or ReaderLimits(require_forces=False)
    frames: list[Frame] = []
    hashes: dict[str, str] = {}
    for path in expand_files([resolve(Path(file)) for file in files]):
        if is_cache(path):
            cache = Cache(path)
            frames += cache.frames()
            keep_hash(hashes, path.name, cache.index["fingerprint"])
            continue
        before = len(frames)
        frames += frames_to_judge(path, head or "", bounds, labels or LabelSettings())
        if len(frames) == before:
            raise DataError(
                explain(f"{path} holds no frame", wanted="one labelled frame or more")
            )
        keep_hash(hashes, path.name, sha256_file(path))
    return frames, hashes


def write_predictions(found: Sequence[Residual], path: Path) -> None:
    """Write labels and predictions side by side as extended XYZ, with every digit.

    The keys of the predictions are ``MODEL_energy`` (eV), ``MODEL_forces`` (eV/Å),
    ``MODEL_stress`` (eV/Å^3, where there is a volume) and ``MODEL_head``; those of the
    labels begin with ``REF_`` as in the input.
    """
    with atomic_path(path) as temporary:
        write_xyz(temporary, (_annotated(one) for one in found))


def _annotated(one: Residual) -> Atoms:
    atoms = labelled_atoms(one.frame)
    if not np.isfinite(one.frame.energy):
        del atoms.info["REF_energy"]
    atoms.info["domain"] = domain_of(one.frame)
    atoms.info["MODEL_head"] = one.predicted.head
    atoms.info["MODEL_energy"] = one.predicted.energy
    atoms.arrays["MODEL_forces"] = one.predicted.forces
    if one.predicted.stress is not None:
        atoms.info["MODEL_stress"] = one.predicted.stress.ravel()
    return atoms


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """An error of a second potential over that of a first, on the same frames.

    Attributes:
        head: of the labels.
        quantity: "energy", "forces" or "stress".
        first: RMSE of the first, eV/atom, eV/Å or eV/Å^3.
        second: RMSE of the second.
        ratio: second / first; below 1 the second is better.
        low: lower end of its 95 % interval, from frames drawn anew.
        high: upper end.
    """

    head: str
    quantity: str
    first: float
    second: float
    ratio: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Return "better", "worse", or "no difference" where the interval holds 1."""
        if self.high < 1.0:
            return "better"
        return "worse" if self.low > 1.0 else "no difference"


def compare(first: Judgement, second: Judgement) -> list[Ratio]:
    """Return how two potentials compare on the same frames, by head of the labels.

    The interval is that of the bootstrap over frames, with a fixed seed: frames, not
    force components, are what a set has many or few of.

    Raises:
        ConfigError: the potentials judged different frames.
    """
    if [r.frame.source for r in first.found] != [r.frame.source for r in second.found]:
        raise ConfigError(explain("the potentials judged different frames"))
    heads = dict.fromkeys(r.frame.head for r in first.found)
    return [
        ratio
        for head in heads
        for quantity in ("energy", "forces", "stress")
        if (ratio := _ratio(head, quantity, first.found, second.found)) is not None
    ]


def _ratio(
    head: str, quantity: str, first: Sequence[Residual], second: Sequence[Residual]
) -> Ratio | None:
    sums = []
    for one, other in zip(first, second, strict=True):
        x, y = _errors(one, quantity), _errors(other, quantity)
        if one.frame.head == head and x is not None and y is not None:
            sums.append((float(x @ x), float(y @ y), x.size))
    table = np.array(sums)
    if not len(table) or table[:, 0].sum() == 0.0:
        return None
    a, b = (float(np.sqrt(table[:, k].sum() / table[:, 2].sum())) for k in (0, 1))
    rng, n = np.random.default_rng(0), len(table)
    drawn = np.array(
        [table[rng.integers(n, size=n)].sum(axis=0) for _ in range(RESAMPLES)]
    )
    ratios = np.sqrt(drawn[:, 1] / np.maximum(drawn[:, 0], 1e-300))
    low, high = np.quantile(ratios, (0.025, 0.975))
    return Ratio(
        head=head,
        quantity=quantity,
        first=a,
        second=b,
        ratio=b / a,
        low=float(low),
        high=float(high),
    )


def _errors(one: Residual, quantity: str) -> Any:
    if quantity == "energy":
        return np.array([one.energy]) if np.isfinite(one.energy) else None
    values = one.forces if quantity == "forces" else one.stress
    if values is None or (quantity == "forces" and one.frame.n_atoms == 1):
        return None
    return values.ravel()


def _with_heads(
    potential: Potential, frames: Sequence[Frame], head: str | None
) -> list[Frame]:
    """Return the frames with a head each; refuse heads that the potential lacks."""
    there = [h.name for h in potential.config.heads]
    wanted = f"one of {', '.join(there)}"
    if head is not None:
        potential.config.head_index(head)
        return [f if f.head else _named(f, head) for f in frames]
    nameless = sum(not f.head for f in frames)
    if nameless and len(there) > 1:
        raise ConfigError(
            explain(
                f"{nameless} of {len(frames)} frames name no head, and the potential "
                f"has {len(there)}",
                wanted=wanted,
                fix=f"name the head to judge with: --head {there[0]}",
            )
        )
    frames = [f if f.head else _named(f, there[0]) for f in frames]
    unknown = Counter(f.head for f in frames if f.head not in there)
    if unknown:
        raise ConfigError(
            explain(
                "the potential lacks heads that the frames name",
                got=", ".join(f"{name!r} ({n} frames)" for name, n in unknown.items()),
                wanted=wanted,
                fix=f"judge them with another head, --head {there[0]}, if its level of "
                "theory is that of the labels",
            )
        )
    return frames


def _named(frame: Frame, head: str) -> Frame:
    return dataclasses.replace(frame, head=head)


def _check_elements(
    potential: Potential, frames: Sequence[Frame], head: str | None
) -> None:
    """Refuse elements that a head does not know; name them with their frames."""
    lacking: Counter[tuple[str, str]] = Counter()
    known = {h.name: set(h.reference_energies) for h in potential.config.heads}
    for frame in frames:
        name = head or frame.head
        symbols = {chemical_symbols[int(z)] for z in np.unique(frame.numbers)}
        lacking.update((name, symbol) for symbol in symbols - known[name])
    if lacking:
        raise ConfigError(
            explain(
                "the potential lacks elements that the frames have",
                got=", ".join(
                    f"{symbol} in head {name!r} ({n} frames)"
                    for (name, symbol), n in sorted(lacking.items())
                ),
                wanted="; ".join(
                    f"{name!r} knows {', '.join(sorted(known[name]))}"
                    for name in sorted({name for name, _ in lacking})
                ),
                fix="leave these frames out, or judge a potential that knows them",
            )
        )
