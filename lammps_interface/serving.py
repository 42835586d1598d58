"""What the pair style asks of Python: open a model, compute a step, check, close.

The plugin passes the address of a C structure (`pair_abi`) to [`serve`][] and gets a
text back: empty, or why LAMMPS has to stop.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lamplighter.errors import ConfigError, EngineError, LamplighterError, explain
from lamplighter.files import sha256_file
from lamplighter.lammps_interface.keywords import Keywords, parse
from lamplighter.lammps_interface.loading import (
    Interface,
    check_model,
    is_registered,
    load,
    note_of,
)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A model that a pair style holds."""

    model: Any
    path: str
    outputs: tuple[str, ...]
    native: Any = None


_open: dict[int, _Opened] = {}
_handles = itertools.count(1)

MEMORY_ADVICE: Final = (
    "Python has no memory left for this step. Use more ranks on more machines, a file "
    "in float32 (lamplighter convert --dtype float32), or fewer atoms."
)


def serve(request: str, address: int) -> str:
    """Do what the pair style asks for; never raises.

    Args:
        request: ``open``, ``compute``, ``check`` or ``close``.
        address: of the C structure that belongs to the request.

    Returns:
        An empty text, or what went wrong: the message of an error that Lamplighter
        raises on purpose, the traceback of any other.
    """
    try:
        _REQUESTS[request](address)
    except LamplighterError as error:
        return str(error)
    except BaseException as error:  # noqa: BLE001  (C++ cannot catch it; LAMMPS does)
        text = traceback.format_exc()
        return f"{text}\n{MEMORY_ADVICE}" if is_out_of_memory(error) else text
    finally:
        # The Python inside `lmp` is never shut down, which is when buffers go out.
        if sys.stdout is not None:
            sys.stdout.flush()
    return ""


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that memory is full; torch has no class for it."""
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or "can't allocate memory" in text
        or "out of memory" in text
    )


def _serve_open(address: int) -> None:
    from lamplighter.lammps_interface import pair_abi  # noqa: PLC0415  (numpy)

    request = pair_abi.Open.from_address(address)
    pair_abi.check_version(request.version)
    path = os.fsdecode(request.path)
    keywords = parse(os.fsdecode(request.keywords or b""))
    if keywords.deterministic:
        _ask_for_determinism()
    model = load(path)
    check_model(model, path)
    model = _apply(keywords, model, path)
    native = _native(model, keywords, request, shared=is_registered(path))
    names = " ".join(model.element_types).encode()
    if len(names) >= pair_abi.NAMES_LENGTH:
        raise ConfigError(explain("too many element names", got=f"{len(names)} bytes"))
    model.interface = Interface(
        path=path,
        ghostneigh=bool(request.ghostneigh),
        embedded=bool(request.embedded),
    )
    outputs = tuple(getattr(model, "outputs", ()))
    request.cutoff = 2.0 * float(model.rcutfac)
    request.elements = names
    request.outputs = " ".join(outputs).encode()
    request.check_every = keywords.check
    note = note_of(model, path)
    if native is not None:
        request.members, request.n_members = native.address, len(native.members)
        note += ", native"
    request.note = note.encode()[: pair_abi.NAMES_LENGTH - 1]
    request.hash = _identity(path, model).encode()
    request.handle = next(_handles)
    _open[request.handle] = _Opened(model, path, outputs, native)


def _ask_for_determinism() -> None:
    """Make torch, and what is compiled after this, repeat to the last bit."""
    import torch  # noqa: PLC0415  (where it is asked for)

    # what cuBLAS needs to repeat itself, read when it starts
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)


def _native(model: Any, keywords: Keywords, request: Any, *, shared: bool) -> Any:
    """Return what the pair style evaluates itself, or None."""
    useful = bool(getattr(model, "compiled", ())) and not shared
    if keywords.native is False or not (useful or keywords.native):
        return None
    from lamplighter.lammps_interface.native import (  # noqa: PLC0415  (torch)
        native_members,
    )

    return native_members(
        model,
        compiled_version=request.compiled_version,
        ghostneigh=bool(request.ghostneigh),
        shared=shared,
        required=keywords.native is True,
    )


def _identity(path: str, model: Any) -> str:
    """Return a hash of the file and of the head, charge and spin in use."""
    if not Path(path).is_file():
        return ""
    header = getattr(model, "header", None)
    conditions = sorted(getattr(header, "conditions", {}).items())
    choice = f"{getattr(header, 'head', '')} {conditions}"
    return hashlib.sha256(f"{sha256_file(path)} {choice}".encode()).hexdigest()


def _apply(keywords: Keywords, model: Any, path: str) -> Any:
    """Return the model with the head, charge, spin, device and backend of a script."""
    choose = getattr(model, "with_settings", None)
    if choose is not None:
        several = len(model.header.heads) > 1
        wishes = (
            keywords.head,
            keywords.conditions,
            keywords.device,
            keywords.backend,
        )
        return choose(*wishes) if several or any(wishes) else model
    given = [*(["head"] if keywords.head else []), *keywords.conditions]
    if keywords.device not in (None, "cpu"):
        given.append("device")
    if keywords.backend == "compiled":
        given.append("backend")
    if keywords.check:
        given.append("check")
    if given:
        raise ConfigError(
            explain(
                f"{path} cannot take keywords",
                got=", ".join(given),
                wanted="a file of lamplighter convert",
            )
        )
    return model


def _serve_compute(address: int) -> None:
    from lamplighter.lammps_interface.pair_abi import (  # noqa: PLC0415  (numpy)
        Step,
        check_version,
    )
    from lamplighter.lammps_interface.pair_data import PairData  # noqa: PLC0415

    step = Step.from_address(address)
    check_version(step.version)
    opened = _open[step.handle]
    data = PairData(step, opened.outputs)
    if data.centroid is not None and not getattr(opened.model, "gives_centroid", False):
        raise EngineError(
            explain(
                f"{opened.path} has no many-body virial of each atom, which compute "
                "centroid/stress/atom needs",
                wanted="a file of lamplighter convert",
            )
        )
    for name in ("compute_descriptors", "compute_gradients", "compute_forces"):
        method = getattr(opened.model, name, None)
        if method is not None:
            method(data)
    if not math.isfinite(data.energy):
        raise EngineError(
            explain(
                "the model returned an energy that is not a number",
                got=data.energy,
                fix="look for atoms that nearly coincide, a time step that is too "
                "long, or a structure far from what the model was trained on",
            )
        )


def _serve_check(address: int) -> None:
    from lamplighter.lammps_interface.pair_abi import (  # noqa: PLC0415  (numpy)
        Check,
        check_version,
    )
    from lamplighter.lammps_interface.parity import compare  # noqa: PLC0415  (torch)

    gathered = Check.from_address(address)
    check_version(gathered.version)
    report = compare(_open[gathered.handle].model, gathered)
    gathered.report = report.encode()


def _serve_close(address: int) -> None:
    from lamplighter.lammps_interface.pair_abi import Step  # noqa: PLC0415  (numpy)

    step = Step.from_address(address)
    _open.pop(step.handle, None)


_REQUESTS: Final[dict[str, Callable[[int], None]]] = {
    "open": _serve_open,
    "compute": _serve_compute,
    "check": _serve_check,
    "close": _serve_close,
}
