"""Properties: pure protocols over an engine, each returning a ``PropertyResult``."""

from lamplighter.validation.properties.base import Check, PropertyResult, Quantity

__all__ = ["Check", "PropertyResult", "Quantity"]
