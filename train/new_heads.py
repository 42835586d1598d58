"""Add heads to a potential; every other weight and every old head stays as it is."""

from __future__ import annotations

from lamplighter.model.head_rows import add_heads

__all__ = ["add_heads"]
