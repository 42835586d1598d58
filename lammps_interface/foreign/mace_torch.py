"""ML-IAP files of mace-torch, evaluated by Lamplighter: nothing in them is executed.

``mace_create_lammps_model --format=mliap`` pickles a whole Python object,
`LAMMPS_MLIAP_MACE`, around a wrapper, `MACEEdgeForcesWrapper`, around the model. The
model is imported as a checkpoint is (see `lamplighter.model.mace_import`); head, charge
and spin are those that the wrapper keeps. Neither mace-torch nor cuEquivariance is
needed, whatever the file was written with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
from ase.data import chemical_symbols
from torch import Tensor

import lamplighter
from lamplighter.errors import ArtifactError, UnsupportedModelError, explain
from lamplighter.files import sha256_bytes
from lamplighter.lammps_interface.bundle import Bundle, BundleHeader
from lamplighter.lammps_interface.foreign.contents import first_name
from lamplighter.lammps_interface.mliap import MliapModel
from lamplighter.model import Potential, potential_to_bytes
from lamplighter.model.inert import Record, kind_of, shown
from lamplighter.model.mace_import import ML_IAP, Imported, import_record, model_in
from lamplighter.model.pickle_records import attribute
from lamplighter.model.select import select_part
from lamplighter.model.torch_archive import read_archive_bytes

_TORCH_DTYPES: Final = {"float64": torch.float64, "float32": torch.float32}
_ADVICE: Final = (
    "run `lamplighter import` on the .model file that it was made of, then "
    "`lamplighter convert`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaceFile:
    """What an ML-IAP file of mace-torch holds.

    Attributes:
        imported: the model inside, with all its heads.
        head: name of the head that mace-torch evaluates.
        dtype: ``"float64"`` or ``"float32"``.
        conditions: total charge and spin, for a model that depends on them.
    """

    imported: Imported
    head: str
    dtype: str
    conditions: dict[str, float]


class MaceTorchModel(MliapModel):
    """A model of mace-torch in its own file, evaluated by Lamplighter.

    The head is that of the file unless the script names another one.

    Attributes:
        origin: what the file is, for LAMMPS' log.
    """

    origin: str = "ML-IAP file of mace-torch, evaluated by Lamplighter"
    has_default_head = True


def read_mace_file(content: bytes, name: str, sha256: str) -> MaceFile:
    """Read an ML-IAP file of mace-torch without executing anything in it.

    Args:
        content: of the file.
        name: of the file, for messages.
        sha256: of the file, for the provenance.

    Raises:
        ArtifactError: damaged, or not such a file.
        UnsafeFileError: it names a function or class that no such file needs.
        UnsupportedModelError: a feature that cannot be imported; the message names it.
    """
    root = read_archive_bytes(content, name)
    if not isinstance(root, Record) or root.class_name != ML_IAP:
        raise _damaged(name, kind_of(root))
    model, wrapper = model_in(root, name), attribute(root, "model")
    try:
        imported = import_record(model, name, sha256)
    except UnsupportedModelError as error:
        message = f"{name}: {error}; {_ADVICE}"
        raise UnsupportedModelError(message) from error
    _check_elements(root, imported.potential, name)
    return MaceFile(
        imported=imported,
        head=_head(wrapper, imported.potential, name),
        dtype=_dtype(wrapper, name),
        conditions={
            one.name: _number(wrapper, one.name, one.default, name)
            for one in imported.potential.config.conditions
        },
    )


def read_bundle(content: bytes, name: str) -> Bundle | None:
    """Return the head that an ML-IAP file of mace-torch evaluates, as a bundle.

    Args:
        content: of the file.
        name: of the file, for messages.

    Returns:
        None for any other file.

    Raises:
        ArtifactError: the file is damaged, or its model cannot be imported.
    """
    if first_name(content) != ML_IAP:
        return None
    sha256 = sha256_bytes(content)
    try:
        file = read_mace_file(content, name, sha256)
    except UnsupportedModelError as error:
        raise ArtifactError(str(error)) from error
    return _bundle(file, [file.head], name, sha256)


def load_mace_file(content: bytes, name: str) -> MaceTorchModel:
    """Return the object that LAMMPS calls, from an ML-IAP file of mace-torch.

    Raises:
        LamplighterError: see [`read_mace_file`][].
    """
    sha256 = sha256_bytes(content)
    file = read_mace_file(content, name, sha256)
    names = [spec.name for spec in file.imported.potential.config.heads]
    others = [one for one in names if one != file.head]
    return MaceTorchModel(_bundle(file, [file.head, *others], name, sha256))


def _bundle(file: MaceFile, heads: list[str], name: str, sha256: str) -> Bundle:
    """Return the named heads of a file as the content of one of our own."""
    whole = file.imported.potential
    potential = select_part(whole, heads, list(whole.config.elements))
    potential = potential.to(_TORCH_DTYPES[file.dtype])
    config, spec = potential.config, potential.config.head(file.head)
    header = BundleHeader(
        model_sha256=sha256,
        model_name=name,
        head=spec.name,
        level_of_theory=spec.level_of_theory,
        dispersion=spec.dispersion,
        licence=spec.licence,
        elements=tuple(config.elements),
        cutoff=float(config.cutoff),
        n_layers=config.n_layers,
        message_width=max(
            (one.edge_channels * (one.l_edge + 1) ** 2 for one in config.layers[1:]),
            default=0,
        ),
        dtype=file.dtype,
        conditions=file.conditions,
        heads=tuple(heads),
        lamplighter_version=lamplighter.__version__,
        torch_version=str(torch.__version__),
    )
    return Bundle(header=header, potential=potential_to_bytes(potential))


def _check_elements(root: Record, potential: Potential, name: str) -> None:
    """Refuse a file whose list of names is not that of its model.

    ``pair_coeff`` finds elements by name, so that their order does not matter.
    """
    listed = attribute(root, "element_types")
    known = list(potential.config.elements)
    if not isinstance(listed, list) or any(e not in chemical_symbols for e in listed):
        raise _damaged(name, f"element_types {shown(str(listed))}")
    if sorted(listed) != sorted(known):
        raise _damaged(name, f"element_types {' '.join(listed)} for {' '.join(known)}")


def _head(wrapper: Record, potential: Potential, name: str) -> str:
    """Return the name of the head that the wrapper evaluates."""
    names = [spec.name for spec in potential.config.heads]
    index = attribute(wrapper, "head", default=None)
    if index is None and len(names) == 1:
        return names[0]
    if not isinstance(index, Tensor) or index.numel() != 1:
        raise _damaged(name, f"{kind_of(index)} as head")
    number = int(index)
    if not 0 <= number < len(names):
        raise _damaged(name, f"head {number} of {len(names)}")
    return names[number]


def _dtype(wrapper: Record, name: str) -> str:
    dtype = attribute(wrapper, "r_max").dtype
    name_of = {value: key for key, value in _TORCH_DTYPES.items()}
    if dtype not in name_of:
        raise _damaged(name, f"numbers of {dtype}")
    return name_of[dtype]


def _number(wrapper: Record, key: str, default: float | None, name: str) -> float:
    """Return a condition that the wrapper keeps, or what mace-torch takes else."""
    value: Any = attribute(wrapper, key, default=None)
    if isinstance(value, Tensor) and value.numel() == 1:
        return float(value)
    if value is None and default is not None:
        return default
    raise _damaged(name, f"{kind_of(value)} as {key}")


def _damaged(name: str, got: str) -> ArtifactError:
    return ArtifactError(
        explain(
            f"{name} begins like an ML-IAP file of mace-torch, but is not one",
            got=got,
            wanted=f"{ML_IAP} around a model, as mace_create_lammps_model writes it",
            fix=f"write the file anew with mace-torch 0.3.16, or {_ADVICE}",
        )
    )
