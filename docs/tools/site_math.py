"""Formulas as MathML: browsers draw it themselves, online or from the disk."""

from __future__ import annotations

import html as entities
import re

from latex2mathml.converter import convert

_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
_BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)


def to_mathml(text: str) -> str:
    """Return HTML whose formulas are MathML.

    Raises:
        ValueError: a formula holds a command that cannot be written as MathML.
    """
    text = _BLOCK.sub(lambda match: _formula(match[1], "block"), text)
    return _INLINE.sub(lambda match: _formula(match[1], "inline"), text)


def _formula(source: str, display: str) -> str:
    latex = entities.unescape(source).strip()
    found = str(convert(latex, display=display))
    left = re.search(r"<mi>(\\[a-zA-Z]+)</mi>|<mtext>(\\[a-zA-Z]+)</mtext>", found)
    if left:
        problem = f"{left[0]} in the formula {latex} is not known to latex2mathml"
        raise ValueError(problem)
    if display == "block":
        return f'<div class="formula" tabindex="0">{found}</div>'
    return found
