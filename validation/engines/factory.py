"""ASE calculators by name, from installed packages and nowhere else.

A suite is data: it may name a calculator that somebody installed, never bring code. The
name is looked up in this order and refused at the first step that fails: the package is
installed; the module is that package's; the object is a class of ASE calculators, a
class method of one, or a function whose annotation says that it returns one.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import json
import re
import typing
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from ase.calculators.calculator import BaseCalculator

from lamplighter.errors import (
    ConfigError,
    EngineError,
    LamplighterError,
    OptionalDependencyError,
    explain,
)
from lamplighter.files import sha256_bytes, sha256_file
from lamplighter.validation.engines.ase import AseEngine
from lamplighter.validation.engines.base import EngineInfo

_FORM: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)?")


def ase_engine(
    calculator: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    name: str = "ase",
    folder: Path | None = None,
    dtype: str = "float64",
    cutoff: float = 0.0,
    level_of_theory: str = "",
) -> AseEngine:
    """Return the engine of an ASE calculator that is named by text.

    Args:
        calculator: ``module:Class`` or ``module:Class.classmethod``.
        arguments: Keyword arguments; ``{"file": PATH}``, at any depth, becomes a path.
        name: Name of the engine in tables.
        folder: Where relative paths count from; ``None``: the working folder.
        dtype: Precision of the calculator, for what parity tolerates.
        cutoff: Range in Å, 0 when unknown.
        level_of_theory: What the numbers are to be compared with.

    Raises:
        ConfigError: If the name is not that of a calculator, a file does not exist or
            the calculator refuses its arguments.
        OptionalDependencyError: If the package is not installed.
    """
    make = calculator_factory(calculator)
    files: list[Path] = []
    named: list[Path] = []
    given = _with_paths(arguments or {}, folder or Path(), files, named)
    try:
        made = make(**given)
    except LamplighterError:
        raise
    except Exception as error:  # whatever a calculator of a third party raises
        raise ConfigError(
            explain(
                f"{calculator} refuses its arguments",
                got=f"{type(error).__name__}: {error}",
                wanted=f"the arguments of {calculator}{_signature(make)}",
                fix="change arguments: of this engine",
            )
        ) from error
    if not isinstance(made, BaseCalculator):
        raise EngineError(
            explain(
                f"{calculator} made no ASE calculator",
                got=type(made).__name__,
                wanted="an instance of ase's BaseCalculator",
            )
        )
    package = calculator.partition(":")[0].partition(".")[0]
    extra = {
        "arguments": json.dumps(_record(arguments or {}), sort_keys=True),
        "package": f"{package} {_version(package)}",
    }
    if level_of_theory:
        extra["level_of_theory"] = level_of_theory
    info = EngineInfo(
        kind="ase",
        name=name,
        model=calculator,
        model_sha256=_digest(files),
        dtype=dtype,
        cutoff=cutoff,
        extra=extra,
    )
    return AseEngine(made, info, content=_digest(named))


def calculator_factory(text: str) -> Callable[..., Any]:
    """Return the class, class method or function that ``module:Class`` names.

    Raises:
        ConfigError: If the text has another form, the module lacks the name, or what is
            there does not make calculators.
        OptionalDependencyError: If the package is not installed.
    """
    if not _FORM.fullmatch(text):
        raise ConfigError(
            explain(
                "the name of a calculator",
                got=repr(text),
                wanted="'module:Class', for example 'ase.calculators.lj:LennardJones'",
            )
        )
    module_name, _, path = text.partition(":")
    _check_installed(module_name)
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise OptionalDependencyError(
            explain(
                f"module {module_name} cannot be imported",
                got=str(error),
                fix=f"install what {module_name.partition('.')[0]} needs",
            )
        ) from error
    owner: Any = None
    for part in path.split("."):
        if not _has(found, part):
            raise ConfigError(
                explain(
                    f"{module_name} has no {path}",
                    wanted=", ".join(_calculators(found)) or "another module",
                )
            )
        owner, found = found, getattr(found, part)
    if not _makes_calculators(found, owner):
        raise ConfigError(
            explain(
                f"{text} does not make ASE calculators",
                got=f"a {type(found).__name__}",
                wanted="a class of calculators, a class method of one, or a function "
                "annotated to return one",
                fix="name the class of the calculator",
            )
        )
    make: Callable[..., Any] = found
    return make


def _check_installed(module: str) -> None:
    """Refuse modules that no installed distribution brought, such as a script."""
    package = module.partition(".")[0]
    if package not in _installed() and _version(package) == "":
        raise OptionalDependencyError(
            explain(
                f"package {package!r} is not installed",
                got=f"calculator in module {module}",
                wanted="a module of an installed package",
                fix=f"pip install {package}; a suite brings no code of its own",
            )
        )
    spec = importlib.util.find_spec(package)
    here = Path.cwd().resolve()
    origin = Path(spec.origin).resolve() if spec and spec.origin else None
    hidden = {here, here / package}
    if origin is not None and origin.parent in hidden:
        raise ConfigError(
            explain(
                f"package {package!r} is hidden by a folder of the same name",
                got=str(origin),
                wanted="the installed package",
                fix="run from another folder",
            )
        )


def _makes_calculators(found: Any, owner: Any) -> bool:
    if inspect.isclass(found):
        return issubclass(found, BaseCalculator)
    if inspect.ismethod(found):  # bound to its class: a class method
        return inspect.isclass(owner) and issubclass(owner, BaseCalculator)
    if inspect.isfunction(found) and inspect.ismodule(owner):
        try:
            kind = typing.get_type_hints(found).get("return")
        except (NameError, TypeError, AttributeError):
            return False
        return inspect.isclass(kind) and issubclass(kind, BaseCalculator)
    return False


def _with_paths(
    value: Any, folder: Path, files: list[Path], named: list[Path], key: str = ""
) -> Any:
    """Return arguments with paths in place of ``{file: ...}``, at any depth.

    Args:
        value: arguments, or a part of them.
        folder: where relative paths count from.
        files: receives these files.
        named: receives files that a plain text names: the calculator may read them, or
            write them, so that they are part of no record.
        key: of the part, for messages.
    """
    if isinstance(value, Mapping) and set(value) == {"file"}:
        path = folder / Path(str(value["file"])).expanduser()
        if not path.is_file():
            raise ConfigError(explain(f"arguments: {key}: no such file", got=path))
        files.append(path)
        return str(path)
    if isinstance(value, Mapping):
        return {
            k: _with_paths(v, folder, files, named, str(k)) for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [_with_paths(item, folder, files, named, key) for item in value]
    if isinstance(value, str) and _is_file(value):
        named.append(Path(value))
    return value


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or a null byte in it
        return False


def _record(value: Any) -> Any:
    """Return arguments in JSON types: of a file its name, its content has a hash."""
    if isinstance(value, Mapping) and set(value) == {"file"}:
        return {"file": Path(str(value["file"])).name}
    if isinstance(value, Mapping):
        return {str(key): _record(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_record(item) for item in value]
    return (
        value if value is None or isinstance(value, str | int | float) else str(value)
    )


def _digest(files: list[Path]) -> str:
    if len(files) == 1:
        return sha256_file(files[0])
    joined = "".join(sha256_file(file) for file in files)
    return sha256_bytes(joined.encode()) if files else ""


@functools.cache
def _installed() -> Mapping[str, list[str]]:
    """Return top-level module -> distributions; a second to find out, so once."""
    return metadata.packages_distributions()


def _version(package: str) -> str:
    names = _installed().get(package, [package])
    try:
        return metadata.version(names[0])
    except metadata.PackageNotFoundError:
        return ""


def _has(owner: Any, name: str) -> bool:
    return getattr(owner, name, None) is not None


def _calculators(module: Any) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, BaseCalculator)
        and value.__module__ == getattr(module, "__name__", "")
    ]


def _signature(make: Callable[..., Any]) -> str:
    try:
        return str(inspect.signature(make))
    except (TypeError, ValueError):
        return ""
