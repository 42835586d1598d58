"""Pickles read as data: plain containers, and inert records of everything else.

A pickle is a program for a small stack machine. Python's own machine imports whatever
the program names and calls it. The machine here imports nothing and calls nothing of
the program's choice: a name becomes a [`Reference`][], a call becomes a [`Record`][] of
the name and the arguments, and a fixed table of builders turns a few well-known calls
into values. Names outside an admitted set are refused.

Source: the opcodes are those that the standard library's pickletools documents.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final

from lamplighter.errors import ArtifactError, explain
from lamplighter.model.inert import (
    MalformedPickleError,
    Record,
    Reference,
    fail,
    hashable,
    kind_of,
    pairs,
    shown,
)

MAX_STEPS: Final = 2_000_000
MAX_DEPTH: Final = 1000

Builder = Callable[[tuple[Any, ...]], Any]

# A protocol-2 pickle names Python 2's modules.
_RENAMED: Final = {"__builtin__": "builtins", "copy_reg": "copyreg"}
_SIZED: Final = (bytes, dict, frozenset, list, set, str, tuple)
_IGNORED: Final = {"PROTO", "FRAME"}
_LITERALS: Final = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"),
    *("FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_FRESH: Final[dict[str, Callable[[], Any]]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": set,
}


class PickleMachine:
    """Runs one pickle without importing or calling anything of its choice.

    Args:
        source: name of the file, for messages.
        check: is given the module and the name of each class or function, and raises
            if it is not admitted.
        builders: for a module and name, what makes a value of a call's arguments; it
            returns `NotImplemented` where the call is to stay a record.
        constants: for a module and name, the value that stands for it.
        load: makes a value of a persistent identifier.
    """

    def __init__(
        self,
        *,
        source: str,
        check: Callable[[str, str], None],
        builders: Mapping[tuple[str, str], Builder],
        constants: Mapping[tuple[str, str], Any],
        load: Callable[[Any], Any],
    ) -> None:
        self._source = source
        self._check = check
        self._builders = builders
        self._constants = constants
        self._load = load
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._copies_left = 0

    def run(self, pickled: bytes) -> Any:
        """Return the object that `pickled` describes.

        Raises:
            ArtifactError: the pickle is truncated, damaged, too deep or too long, or
                uses what no checkpoint uses.
            UnsafeFileError: raised by `check`.
        """
        try:
            with warnings.catch_warnings():
                # pickletools passes on what Python says about escapes in damaged names.
                warnings.simplefilter("ignore")
                return self._run(pickled)
        except MalformedPickleError as error:
            raise ArtifactError(
                explain(
                    f"{self._source} is damaged, or no model checkpoint",
                    got=error,
                    wanted="a model as torch.save writes it",
                    fix="copy or download the file again",
                )
            ) from error

    def _run(self, pickled: bytes) -> Any:
        # One long list, passed to calls again and again, would fill any memory.
        self._copies_left = 4 * len(pickled) + 1_000_000
        for count, (opcode, argument) in enumerate(_steps(pickled)):
            if count >= MAX_STEPS:
                fail(f"more than {MAX_STEPS} steps")
            self._step(opcode, argument)
        return self._pop()

    def _step(self, opcode: str, argument: Any) -> None:
        if opcode in _LITERALS:
            self._push(argument)
        elif opcode in _FRESH:
            self._push(_FRESH[opcode]())
        elif opcode in self._ACTIONS:
            self._ACTIONS[opcode](self, argument)
        elif opcode not in _IGNORED:
            fail(f"the opcode {opcode}, which torch never writes")

    # The stack.

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if not self._stack:
            fail("a pickle that takes more than it has put")
        return self._stack.pop()

    def _top(self) -> Any:
        self._push(value := self._pop())
        return value

    def _last(self, count: int) -> list[Any]:
        return [self._pop() for _ in range(count)][::-1]

    def _mark(self, _: Any) -> None:
        if len(self._outer) >= MAX_DEPTH:
            fail(f"objects nested more than {MAX_DEPTH} deep")
        self._outer.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[Any]:
        if not self._outer:
            fail("a pickle that closes what it has not opened")
        items, self._stack = self._stack, self._outer.pop()
        return items

    def _pop_mark(self, _: Any) -> None:
        self._since_mark()

    def _discard(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._since_mark()

    def _duplicate(self, _: Any) -> None:
        self._push(self._top())

    def _put(self, index: int | None) -> None:
        self._memo[len(self._memo) if index is None else index] = self._top()

    def _get(self, index: int) -> None:
        if index not in self._memo:
            fail("a reference to an object that is not there")
        self._push(self._memo[index])

    # Containers.

    def _tuple(self, _: Any) -> None:
        self._push(tuple(self._since_mark()))

    def _tuple1(self, _: Any) -> None:
        self._push(tuple(self._last(1)))

    def _tuple2(self, _: Any) -> None:
        self._push(tuple(self._last(2)))

    def _tuple3(self, _: Any) -> None:
        self._push(tuple(self._last(3)))

    def _list(self, _: Any) -> None:
        self._push(self._since_mark())

    def _dict(self, _: Any) -> None:
        self._push({hashable(k): v for k, v in pairs(self._since_mark())})

    def _frozenset(self, _: Any) -> None:
        self._push(frozenset(hashable(value) for value in self._since_mark()))

    def _append(self, _: Any) -> None:
        self._extend(self._last(1))

    def _appends(self, _: Any) -> None:
        self._extend(self._since_mark())

    def _extend(self, values: list[Any]) -> None:
        match self._top():
            case list() as target:
                target.extend(values)
            case Record() as record:
                record.entries.extend(values)
            case other:
                fail(f"something appended to {kind_of(other)}")

    def _add_items(self, _: Any) -> None:
        values = self._since_mark()
        match self._top():
            case set() as target:
                target.update(hashable(value) for value in values)
            case Record() as record:
                record.entries.extend(values)
            case other:
                fail(f"something added to {kind_of(other)}")

    def _set_item(self, _: Any) -> None:
        self._update(self._last(2))

    def _set_items(self, _: Any) -> None:
        self._update(self._since_mark())

    def _update(self, flat: list[Any]) -> None:
        items = pairs(flat)
        match self._top():
            case dict() as target:
                target.update((hashable(key), value) for key, value in items)
            case Record() as record:
                record.entries.extend(items)
            case other:
                fail(f"an item set in {kind_of(other)}")

    # What Python would import, call and fill.

    def _refer(self, module: Any, name: Any) -> Any:
        if not isinstance(module, str) or not isinstance(name, str):
            fail(f"a name that is {kind_of(name)}")
        module = _RENAMED.get(module, module)
        self._check(module, name)
        return self._constants.get((module, name), Reference(module, name))

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._push(self._refer(module, name))

    def _stack_global(self, _: Any) -> None:
        self._push(self._refer(*self._last(2)))

    def _make(self, target: Any, args: Any) -> None:
        if not isinstance(target, Reference) or not isinstance(args, tuple):
            fail(f"a call of {kind_of(target)}")
        self._copies_left -= sum(len(arg) for arg in args if isinstance(arg, _SIZED))
        if self._copies_left < 0:
            fail("calls with more content than the whole pickle")
        builder = self._builders.get((target.module, target.name))
        made = NotImplemented if builder is None else builder(args)
        if made is NotImplemented:
            made = Record(target.module, target.name, args)
        self._push(made)

    def _reduce(self, _: Any) -> None:
        self._make(*self._last(2))

    def _new_with_keywords(self, _: Any) -> None:
        keywords = self._pop()
        if not isinstance(keywords, dict) or keywords:
            fail("an object made with keyword arguments")
        self._reduce(None)

    def _instance(self, argument: str) -> None:
        args = tuple(self._since_mark())
        self._global(argument)
        self._make(self._pop(), args)

    def _object(self, _: Any) -> None:
        target, *args = self._since_mark() or [None]
        self._make(target, tuple(args))

    def _build(self, _: Any) -> None:
        state = self._pop()
        match self._top():
            case Record() as record:
                record.state = state
            case dict():
                pass  # the version numbers that torch hangs on a state dict
            case other:
                fail(f"attributes set on {kind_of(other)}")

    def _persistent(self, _: Any) -> None:
        self._push(self._load(self._pop()))

    _ACTIONS: ClassVar[dict[str, Callable[[PickleMachine, Any], None]]] = {
        "MARK": _mark,
        "POP": _discard,
        "POP_MARK": _pop_mark,
        "DUP": _duplicate,
        "STOP": lambda _machine, _: None,
        **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _put),
        **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _get),
        "TUPLE": _tuple,
        "TUPLE1": _tuple1,
        "TUPLE2": _tuple2,
        "TUPLE3": _tuple3,
        "LIST": _list,
        "DICT": _dict,
        "FROZENSET": _frozenset,
        "APPEND": _append,
        "APPENDS": _appends,
        "ADDITEMS": _add_items,
        "SETITEM": _set_item,
        "SETITEMS": _set_items,
        "GLOBAL": _global,
        "STACK_GLOBAL": _stack_global,
        "REDUCE": _reduce,
        "NEWOBJ": _reduce,
        "NEWOBJ_EX": _new_with_keywords,
        "INST": _instance,
        "OBJ": _object,
        "BUILD": _build,
        "BINPERSID": _persistent,
    }


def _steps(pickled: bytes) -> Iterator[tuple[str, Any]]:
    """Yield the opcodes of `pickled` with their arguments, up to STOP."""
    try:
        for opcode, argument, _ in pickletools.genops(pickled):
            yield opcode.name, argument
    except ValueError as error:
        fail(f"a malformed pickle ({shown(str(error))})")
