"""Reference energies: recovered where they are determined, refused where not."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from lamplighter.errors import ConfigError, DataError
from lamplighter.train.config import HeadData
from lamplighter.train.data import Frame
from lamplighter.train.heads import fit_heads, force_scale
from lamplighter.train.references import reference_energies

PLANTED = {"H": -13.6, "C": -1029.0, "O": -2042.1}
NUMBERS = {"H": 1, "C": 6, "O": 8}


def frame(
    formula: str, *, binding: float = 0.0, kind: str = "molecule", head: str = "h"
) -> Frame:
    symbols = [s for s in formula if s in NUMBERS]
    n = len(symbols)
    return Frame(
        numbers=np.array([NUMBERS[s] for s in symbols]),
        positions=np.arange(3.0 * n).reshape(n, 3),
        cell=np.zeros((3, 3)),
        pbc=(False, False, False),
        energy=sum(PLANTED[s] for s in symbols) + binding,
        forces=np.full((n, 3), 2.0),
        stress=None,
        head=head,
        level="L",
        config_type="IsolatedAtom" if n == 1 else kind,
        uid=formula,
        source=f"test: {formula}",
    )


def _energies(references):
    return {r.element: r.energy for r in references}


def test_planted_energies_are_recovered():
    frames = [frame(f) for f in ("HH", "HHO", "CO", "COO", "CHHHH")]
    references = reference_energies(frames, head="h")
    assert _energies(references) == pytest.approx(PLANTED, abs=1e-8)
    assert {r.origin for r in references} == {"fit"}
    assert all(r.uncertainty < 1e-8 for r in references)


def test_isolated_atoms_win_and_the_rest_is_fitted():
    frames = [frame("O"), frame("H"), frame("CO", binding=-11.0)]
    found = {r.element: r for r in reference_energies(frames, head="h")}
    assert found["O"].energy == PLANTED["O"]
    assert found["O"].origin == "isolated atom"
    assert found["C"].origin == "fit"
    assert found["C"].energy == pytest.approx(PLANTED["C"] - 11.0)
    assert math.isinf(found["C"].uncertainty)


def test_given_energies_win_over_atoms():
    frames = [frame("O"), frame("H")]
    found = reference_energies(frames, head="h", given={"O": -7.0})
    assert _energies(found) == {"H": PLANTED["H"], "O": -7.0}


def test_uncertainty_grows_with_the_scatter(rng):
    formulas = ["HH", "HHO", "OO", "HHOO", "HHH", "OOH"]
    calm = [frame(f, binding=1e-3 * rng.normal()) for f in formulas]
    wild = [frame(f, binding=1.0 * rng.normal()) for f in formulas]
    small, large = (
        reference_energies(f, head="h")[0].uncertainty for f in (calm, wild)
    )
    assert 0 < 100 * small < large


def test_undetermined_elements_are_named():
    frames = [frame("HHO"), frame("HHOHHO"), frame("C")]
    with pytest.raises(DataError, match=r"head 'h' do not determine.*atoms H, O;"):
        reference_energies(frames, head="h")


def test_minimum_norm_stays_near_the_prior():
    frames = [frame("HHO", binding=-9.0), frame("HHOHHO", binding=-18.0)]
    prior = {"H": PLANTED["H"], "O": PLANTED["O"]}
    found = reference_energies(frames, head="h", prior=prior)
    energies = _energies(found)
    assert 2 * energies["H"] + energies["O"] == pytest.approx(
        2 * prior["H"] + prior["O"] - 9.0
    )
    # the smallest change is shared in the ratio of the composition, 2 : 1
    assert energies["H"] - prior["H"] == pytest.approx(2 * (energies["O"] - prior["O"]))
    assert {r.origin for r in found} == {"fit (minimum norm)"}


def test_interaction_energies_are_taken_off_first():
    formulas = ["HH", "HHO", "CO", "COO", "CHHHH"]
    binding = [-4.5, -9.6, -11.1, -16.9, -17.5]
    frames = [frame(f, binding=b) for f, b in zip(formulas, binding, strict=True)]
    found = reference_energies(frames, head="h", interaction=binding)
    assert _energies(found) == pytest.approx(PLANTED, abs=1e-8)


def test_two_different_free_atoms_are_refused():
    twin = frame("O", binding=0.5)
    with pytest.raises(DataError, match="a second O atom of head 'h'"):
        reference_energies([frame("O"), twin], head="h")


def _head(name: str, **kwargs: object) -> HeadData:
    return HeadData(name=name, level="L", files=(Path("x"),), **kwargs)  # type: ignore[arg-type]


def test_a_head_can_lean_on_another_one():
    formulas = ["HH", "HHO", "CO", "COO", "CHHHH"]
    atoms = [frame(f, head="a") for f in ("H", "C", "O")]
    first = [*atoms, *(frame(f, binding=-3.0 * len(f), head="a") for f in formulas)]
    second = [frame(f, binding=-3.0 * len(f), head="b") for f in formulas]
    heads = [_head("b", reference_like="a"), _head("a")]
    fitted = fit_heads(heads, {"a": first, "b": second})
    assert [f.spec.name for f in fitted] == ["b", "a"]
    assert fitted[0].spec.reference_energies == pytest.approx(PLANTED)
    assert fitted[0].spec.shift == 0.0


def test_a_circle_of_heads_is_refused():
    heads = [_head("a", reference_like="b"), _head("b", reference_like="a")]
    with pytest.raises(ConfigError, match="takes its atoms from a head that has none"):
        fit_heads(heads, {"a": [], "b": []})


def test_heads_without_shared_geometries_are_refused():
    atoms = [frame(f, head="a") for f in ("H", "C", "O")]
    heads = [_head("a"), _head("b", reference_like="a")]
    with pytest.raises(DataError, match="'b' and 'a' share no geometry"):
        fit_heads(heads, {"a": atoms, "b": [frame("CO", head="b")]})


def test_scale_is_the_rms_force_without_atoms():
    assert force_scale([frame("CO"), frame("H")]) == pytest.approx(2.0)
    assert force_scale([frame("H")]) == 1.0
