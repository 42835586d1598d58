"""Checkpoints of mace-torch as potentials: the same numbers, nothing executed.

mace-torch is not needed. The checkpoint is read as inert records
([`read_checkpoint`][lamplighter.model.pickle_records]), its settings are read from the
records and compared with the shapes of its weights, and the weights are carried over by
exact algebra.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from lamplighter.errors import ArtifactError, ConfigError, LamplighterError, explain
from lamplighter.files import sha256_file
from lamplighter.model.config import PotentialConfig
from lamplighter.model.dispersion import D3Rule
from lamplighter.model.heads import HeadSpec
from lamplighter.model.inert import Record, kind_of, shown
from lamplighter.model.mace_cueq import without_kernels
from lamplighter.model.mace_settings import read_settings
from lamplighter.model.mace_source import Source
from lamplighter.model.mace_weights import read_weights
from lamplighter.model.pickle_records import attribute, children, read_checkpoint
from lamplighter.model.potential import Potential
from lamplighter.model.select import belongs_to_elements

TEXT_FIELDS = {"level_of_theory", "dispersion", "licence", "source"}
ML_IAP = "mace.calculators.lammps_mliap_mace.LAMMPS_MLIAP_MACE"
"""The class whose pickle is an ML-IAP file of mace-torch."""

HEAD_FIELDS = (*sorted(TEXT_FIELDS), "elements")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A checkpoint that became a potential.

    Attributes:
        potential: float64, ready for evaluation.
        provenance: where it comes from, for the header of the model file.
        n_parameters: number of weights in the checkpoint.
        notes: what the user should know before trusting it.
    """

    potential: Potential
    provenance: dict[str, Any]
    n_parameters: int
    notes: tuple[str, ...]


def import_mace(
    path: str | os.PathLike[str], heads: Mapping[str, Mapping[str, Any]] | None = None
) -> Imported:
    """Return the potential in a ``.model`` file, or ML-IAP file, of mace-torch 0.3.

    Coupling tables of a float32 file are rounded to float32; those used here are exact,
    so the energies of such a file agree to about 1e-7 relative, those of a float64 file
    to rounding.

    Args:
        path: written by ``torch.save(model, path)``, or the ML-IAP file that
            ``mace_create_lammps_model`` made of such a model; of that, the model with
            all its heads is imported.
        heads: for each head's name any of ``level_of_theory``, ``dispersion``,
            ``licence``, ``source``, and ``elements`` (those that the head was trained
            on; others are then refused).

    Raises:
        ArtifactError: no such file, or not a checkpoint of a whole model.
        UnsafeFileError: the file names a function or class that no checkpoint needs.
        UnsupportedModelError: a feature that is not known; the message names it.
        ConfigError: `heads` names a head or field that does not exist.
    """
    root = model_in(read_checkpoint(path), Path(path).name)
    return import_record(root, Path(path).name, sha256_file(path), heads)


def model_in(root: Record, name: str) -> Record:
    """Return the model itself from the record of a model or of an ML-IAP object.

    Args:
        root: the record of a file's content.
        name: of the file, for messages.

    Raises:
        ArtifactError: an ML-IAP object of mace-torch without a model inside.
    """
    if root.class_name != ML_IAP:
        return root
    wrapper = attribute(root, "model", default=None)
    if isinstance(wrapper, Record) and wrapper.name == "MACEEdgeForcesWrapper":
        model = children(wrapper).get("model")
        if model is not None:
            return model
    raise ArtifactError(
        explain(
            f"{name} begins like an ML-IAP file of mace-torch, but has no model inside",
            got=kind_of(wrapper),
            wanted="what mace_create_lammps_model writes",
            fix="write the file anew, or import the .model file that it was made of",
        )
    )


def import_record(
    root: Record,
    name: str,
    sha256: str,
    heads: Mapping[str, Mapping[str, Any]] | None = None,
) -> Imported:
    """Return the potential in the record of a model; see [`import_mace`][].

    Args:
        root: the record of the whole model, from whatever file.
        name: the name of the file, for messages and provenance.
        sha256: of the file.
        heads: see [`import_mace`][].
    """
    with _as_misfit(name):
        source = Source(without_kernels(root))
        potential = _converted(source, heads or {})
    provenance = {
        "imported_from": name,
        "sha256": sha256,
        "class": source.root.class_name,
        "parameters": source.n_parameters,
        "dtype": str(source.tensors["r_max"].dtype).removeprefix("torch."),
    }
    return Imported(
        potential=potential,
        provenance=provenance,
        n_parameters=source.n_parameters,
        notes=tuple(_notes(potential.config)),
    )


@contextlib.contextmanager
def _as_misfit(name: str) -> Iterator[None]:
    """Turn what odd content of a record raises into an `ArtifactError`."""
    try:
        yield
    except LamplighterError:
        raise
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ArtifactError(
            explain(
                f"{name} has the classes of mace-torch, but not their content",
                got=f"{type(error).__name__}: {shown(str(error))}",
                fix="copy the file again, or save the model with mace-torch 0.3.16",
            )
        ) from error


def _converted(source: Source, heads: Mapping[str, Mapping[str, Any]]) -> Potential:
    """Return the potential of a checkpoint."""
    config = read_settings(source)
    state = read_weights(source, config)
    source.check_all_taken()
    numbers = [int(z) for z in source.tensors["atomic_numbers"].tolist()]
    order = torch.tensor(sorted(range(len(numbers)), key=numbers.__getitem__))
    config = dataclasses.replace(config, heads=_described(config, heads))
    potential = Potential(config).double()
    potential.load_state_dict(
        {
            name: value[order] if belongs_to_elements(name, config) else value
            for name, value in state.items()
        }
    )
    return potential.requires_grad_(requires_grad=False).eval()


def read_head_file(path: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """Return the content of a YAML file with what is known about each head.

    Raises:
        ConfigError: it cannot be read, or is not a mapping of mappings.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            explain("the file with the heads cannot be read", got=error)
        ) from error
    good = isinstance(content, dict) and all(
        isinstance(value, dict) for value in content.values()
    )
    if not good:
        raise ConfigError(
            explain(
                f"{path} does not describe heads",
                got=type(content).__name__,
                wanted="head: {level_of_theory: ..., dispersion: ..., licence: ...}",
            )
        )
    return {str(name): dict(fields) for name, fields in content.items()}


def _described(
    config: PotentialConfig, heads: Mapping[str, Mapping[str, Any]]
) -> tuple[HeadSpec, ...]:
    """Return the heads with what the user knows about them."""
    for name, fields in heads.items():
        config.head(name)
        unknown = sorted(set(fields) - set(HEAD_FIELDS))
        if unknown:
            raise ConfigError(
                explain(
                    f"unknown field of head {name!r}",
                    got=", ".join(map(str, unknown)),
                    wanted="any of " + ", ".join(HEAD_FIELDS),
                )
            )
    return tuple(
        _with_fields(spec, dict(heads.get(spec.name, {}))) for spec in config.heads
    )


def _with_fields(spec: HeadSpec, fields: dict[str, Any]) -> HeadSpec:
    elements = fields.pop("elements", None)
    if elements is not None:
        missing = [e for e in elements if e not in spec.reference_energies]
        if missing:
            raise ConfigError(
                explain(
                    f"head {spec.name!r} lacks elements that are asked for",
                    got=", ".join(map(str, missing)),
                    wanted="among " + " ".join(spec.reference_energies),
                )
            )
        energies = {e: v for e, v in spec.reference_energies.items() if e in elements}
        fields["reference_energies"] = energies
    for name in TEXT_FIELDS & fields.keys():
        if not isinstance(fields[name], str):
            raise ConfigError(
                explain(
                    f"{name} of head {spec.name!r} is no text", got=repr(fields[name])
                )
            )
    if fields.get("dispersion", "none") not in ("none", "included", "unknown"):
        D3Rule.parse(fields["dispersion"])
    return dataclasses.replace(spec, **fields)


def _notes(config: PotentialConfig) -> list[str]:
    """Return what is suspicious in a checkpoint that can be read."""
    notes = []
    for spec in config.heads:
        zero = [e for e, v in spec.reference_energies.items() if v == 0.0]
        if zero and len(zero) < len(spec.reference_energies):
            notes.append(
                f"head {spec.name!r} has E0 = 0 for {' '.join(zero)}: it was probably "
                "never trained on them; name its elements to have others refused"
            )
    unknown = [h.name for h in config.heads if h.level_of_theory == "unknown"]
    if unknown:
        notes.append(
            f"the file does not say the level of theory of {', '.join(unknown)}; "
            "describe the heads in a YAML file"
        )
    if config.radial_basis == "chebyshev" and config.distance_transform == "none":
        notes.append("Chebyshev polynomials of distances above 1 Å grow quickly")
    return notes
