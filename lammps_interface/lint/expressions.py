"""Formulas of LAMMPS variables and of `if`, as far as a script alone decides them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final, TypeAlias

Value: TypeAlias = float | str

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<operator>==|!=|<=|>=|&&|\|\||\|\^|[-+*/%^<>!(),]))"
)
_LEVEL: Final = {
    **dict.fromkeys(["||", "|^"], 1),
    "&&": 2,
    **dict.fromkeys(["==", "!="], 3),
    **dict.fromkeys(["<", "<=", ">", ">="], 4),
    **dict.fromkeys(["+", "-"], 5),
    **dict.fromkeys(["*", "/", "%"], 6),
    "^": 7,
}
_UNARY: Final = 8
_DEPTH: Final = 40
_FUNCTIONS: Final[dict[str, Callable[..., float]]] = {
    "sqrt": math.sqrt,
    "exp": math.exp,
    "ln": math.log,
    "log": math.log10,
    "abs": abs,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "asin": math.asin,
    "acos": math.acos,
    "atan": math.atan,
    "atan2": math.atan2,
    "ceil": math.ceil,
    "floor": math.floor,
    "round": lambda x: math.floor(abs(x) + 0.5) * math.copysign(1, x),
    "ternary": lambda x, y, z: y if x != 0 else z,
}
_CONSTANTS: Final = {
    "PI": math.pi,
    **dict.fromkeys(["yes", "true", "on"], 1.0),
    **dict.fromkeys(["no", "false", "off"], 0.0),
}


class _UnknownError(Exception):
    """A formula whose value only a running LAMMPS knows."""


def evaluate(formula: str, variable: Callable[[str], float | None]) -> float | None:
    """Return the value of a formula, or None if the script alone does not decide it.

    Args:
        formula: numbers, operators, functions and ``v_name``; anything else (thermo
            keywords, computes, groups) has no known value.
        variable: the value of ``v_name``; None if it is not known.
    """
    return _number(_Parser(formula, variable, strings=False))


def truth(condition: str) -> bool | None:
    """Return whether the condition of an `if` holds; None if that is not known.

    Args:
        condition: numbers or strings with the operators of `if`, after substitution.
    """
    value = _number(_Parser(condition, lambda _: None, strings=True))
    return None if value is None else value != 0


def _number(parser: _Parser) -> float | None:
    try:
        value = parser.whole()
    except (_UnknownError, ArithmeticError, ValueError, TypeError):
        return None
    return value if isinstance(value, float) and math.isfinite(value) else None


class _Parser:
    """Precedence climbing; LAMMPS binds every operator to the left."""

    def __init__(
        self, text: str, variable: Callable[[str], float | None], *, strings: bool
    ) -> None:
        self._variable = variable
        self._strings = strings
        self._tokens: list[tuple[str, str]] = []
        self._at = 0
        at = 0
        text = text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                self._tokens.append(("unknown", text[at]))
                break
            self._tokens.append(
                (str(match.lastgroup), match.group(match.lastgroup or 0))
            )
            at = match.end()

    def whole(self) -> Value:
        value = self._binary(0, 0)
        if self._at < len(self._tokens):
            raise _UnknownError
        return value

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise _UnknownError
        self._at += 1
        return self._tokens[self._at - 1]

    def _peek(self) -> str:
        kind, text = (
            self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        )
        return text if kind == "operator" else ""

    def _binary(self, level: int, depth: int) -> Value:
        if depth > _DEPTH:
            raise _UnknownError
        left = self._operand(depth)
        while (operator := self._peek()) in _LEVEL and _LEVEL[operator] > level:
            self._at += 1
            left = _apply(operator, left, self._binary(_LEVEL[operator], depth + 1))
        return left

    def _operand(self, depth: int) -> Value:
        kind, text = self._next()
        if kind == "number":
            return float(text)
        if kind == "name":
            return self._named(text, depth)
        if text == "(":
            value = self._binary(0, depth + 1)
            if self._next()[1] != ")":
                raise _UnknownError
            return value
        if text in {"-", "!"} and kind == "operator":
            inner = self._binary(_UNARY, depth + 1)
            if isinstance(inner, str):
                raise _UnknownError
            return -inner if text == "-" else float(inner == 0)
        raise _UnknownError

    def _named(self, name: str, depth: int) -> Value:
        if self._strings:
            return name
        if self._peek() == "(" and name in _FUNCTIONS:
            return float(_FUNCTIONS[name](*self._arguments(depth)))
        value = _CONSTANTS.get(name)
        if name.startswith("v_"):
            value = self._variable(name[2:])
        if value is None:
            raise _UnknownError
        return value

    def _arguments(self, depth: int) -> list[Value]:
        self._at += 1
        found = [self._binary(0, depth + 1)]
        while (text := self._next()[1]) == ",":
            found.append(self._binary(0, depth + 1))
        if text != ")":
            raise _UnknownError
        return found


def _apply(operator: str, left: Value, right: Value) -> float:
    if operator in {"==", "!="} and type(left) is type(right):
        return float((left == right) == (operator == "=="))
    if isinstance(left, str) or isinstance(right, str):
        raise _UnknownError
    return float(_ARITHMETIC[operator](left, right))


def _power(x: float, y: float) -> float:
    return math.pow(x, y)


_ARITHMETIC: Final[dict[str, Callable[[float, float], float]]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "%": math.fmod,
    "^": _power,
    "<": lambda x, y: x < y,
    "<=": lambda x, y: x <= y,
    ">": lambda x, y: x > y,
    ">=": lambda x, y: x >= y,
    "&&": lambda x, y: x != 0 and y != 0,
    "||": lambda x, y: x != 0 or y != 0,
    "|^": lambda x, y: (x != 0) != (y != 0),
}
