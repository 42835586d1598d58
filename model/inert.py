"""What stands for the objects of a file that are not built: references and records."""

from __future__ import annotations

import dataclasses
from typing import Any, Final, NoReturn


class MalformedPickleError(Exception):
    """A pickle that makes no sense; becomes an `ArtifactError` with the file's name."""


def fail(what: str) -> NoReturn:
    """Raise [`MalformedPickleError`][] that says `what` the file has.

    Raises:
        MalformedPickleError: always.
    """
    raise MalformedPickleError(what)


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """A class or function that a file names, not imported.

    Attributes:
        module: dotted name of the module.
        name: name inside the module.
    """

    module: str
    name: str

    @property
    def class_name(self) -> str:
        """Module and name, for example ``"torch.nn.functional.silu"``."""
        return f"{self.module}.{self.name}"


@dataclasses.dataclass(slots=True, eq=False, repr=False)
class Record:
    """An object of a file that was not built: what would have been called, and how.

    Attributes:
        module: dotted name of the module of the class or function.
        name: name of the class or function inside the module.
        args: positional arguments of the call.
        state: what the object's attributes would have been set from; None if nothing.
        entries: what would have been appended, added, or set as (key, value).
    """

    module: str
    name: str
    args: tuple[Any, ...] = ()
    state: Any = None
    entries: list[Any] = dataclasses.field(default_factory=list)

    @property
    def class_name(self) -> str:
        """Module and name, for example ``"mace.modules.models.ScaleShiftMACE"``."""
        return f"{self.module}.{self.name}"

    def __repr__(self) -> str:
        # The content may be deep, or contain the record itself.
        return f"<record of {shown(self.class_name)}>"


_MAX_KEY: Final = 64
_KEYS: Final = (str, int, float, complex, bytes, type(None), Record, Reference)


def shown(text: str) -> str:
    """Return a text of a file as one short line without control characters."""
    return ascii(text if len(text) <= 100 else f"{text[:100]}...")[1:-1]


def kind_of(value: Any) -> str:
    """Return what `value` is, in words that do not grow with its content."""
    if isinstance(value, Record | Reference):
        return shown(value.class_name)
    return f"a value of type {type(value).__name__}"


def hashable(value: Any) -> Any:
    """Return `value` if it may be a key: a plain value, or a short flat tuple of these.

    Nested tuples are not admitted: shared parts make the time to hash them exponential.

    Raises:
        MalformedPickleError: it is something else.
    """
    if isinstance(value, tuple) and len(value) > _MAX_KEY:
        fail(f"a key of {len(value)} parts")
    for part in value if isinstance(value, tuple) else (value,):
        if not isinstance(part, _KEYS):
            fail(f"a key that is {kind_of(part)}")
    return value


def pairs(flat: list[Any]) -> list[tuple[Any, Any]]:
    """Return [k0, v0, k1, v1, ...] as [(k0, v0), (k1, v1), ...].

    Raises:
        MalformedPickleError: the last key has no value.
    """
    if len(flat) % 2:
        fail("a key without a value")
    return list(zip(flat[::2], flat[1::2], strict=True))
