"""All checks by name, and the function that makes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from ase.calculators.calculator import Calculator as AseCalculator

from lamplighter.errors import ConfigError, explain
from lamplighter.model import Potential
from lamplighter.validation.model_checks.additivity import (
    check_batch,
    check_extensivity,
    check_isolated,
    check_locality,
)
from lamplighter.validation.model_checks.close_approach import check_close_approach
from lamplighter.validation.model_checks.derivatives import (
    check_conservation,
    check_derivatives,
)
from lamplighter.validation.model_checks.record import CheckRecord, ModelReport
from lamplighter.validation.model_checks.repetition import (
    check_determinism,
    check_dtype,
)
from lamplighter.validation.model_checks.smoothness import check_smoothness
from lamplighter.validation.model_checks.subject import (
    Subject,
    subject_of_calculator,
    subject_of_potential,
)
from lamplighter.validation.model_checks.symmetry import (
    check_cells,
    check_inversion,
    check_permutation,
    check_rotation,
    check_translation,
    check_wrapping,
)

CheckFunction: TypeAlias = Callable[[Subject], list[CheckRecord]]

CHECKS: Mapping[str, CheckFunction] = MappingProxyType(
    {
        "determinism": check_determinism,
        "rotation": check_rotation,
        "inversion": check_inversion,
        "translation": check_translation,
        "permutation": check_permutation,
        "wrapping": check_wrapping,
        "cells": check_cells,
        "batch": check_batch,
        "derivatives": check_derivatives,
        "conservation": check_conservation,
        "smoothness": check_smoothness,
        "extensivity": check_extensivity,
        "locality": check_locality,
        "isolated": check_isolated,
        "dtype": check_dtype,
        "close_approach": check_close_approach,
    }
)


def check_model(
    model: str | os.PathLike[str] | Potential | AseCalculator | Subject,
    *,
    head: str | None = None,
    dtype: str = "float64",
    device: str = "cpu",
    elements: Sequence[str] | None = None,
    checks: Sequence[str] | None = None,
    advance: Callable[[str], None] | None = None,
) -> ModelReport:
    """Return what the physical checks say about a model.

    Args:
        model: a model file, a potential, any ASE calculator, or a ``Subject`` made by
            ``subject_of_calculator`` for one whose cutoff should be tested as well.
        head: needed for a model file with several heads.
        dtype: precision in which a potential is evaluated, or in which a calculator
            works; the tolerances follow it.
        device: as torch names it; for a model file or a potential.
        elements: what the structures are made of; needed for an ASE calculator.
        checks: names from ``CHECKS``; all of them when left out.
        advance: called with the name of each check that is done.

    Raises:
        ArtifactError: the file is not a usable model.
        ConfigError: unknown head, dtype, element or check.
    """
    chosen = _chosen(checks)
    if isinstance(model, Subject):
        subject = model
    elif isinstance(model, AseCalculator):
        subject = subject_of_calculator(model, elements, dtype=dtype)
    else:
        subject = subject_of_potential(model, head, dtype, device, elements)
    records: list[CheckRecord] = []
    for name in chosen:
        records += CHECKS[name](subject)
        if advance is not None:
            advance(name)
    return ModelReport(
        model=subject.name,
        sha256=subject.sha256,
        head=subject.head,
        dtype=subject.dtype,
        elements=subject.sample,
        cutoff=subject.cutoff,
        receptive_field=subject.receptive_field,
        records=tuple(records),
    )


def _chosen(checks: Sequence[str] | None) -> tuple[str, ...]:
    """Return the checks to make, in the order of ``CHECKS``."""
    unknown = sorted(set(checks or ()) - set(CHECKS))
    if unknown:
        wanted = "some of " + ", ".join(CHECKS)
        raise ConfigError(
            explain("unknown check", got=", ".join(unknown), wanted=wanted)
        )
    return tuple(name for name in CHECKS if checks is None or name in checks)
