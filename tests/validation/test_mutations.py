"""Engines that are broken where LAMMPS is written and read: each is caught.

`test_parity` spoils results; here the LAMMPS input, its output or the rotation is
wrong, as it is in wrappers that people use. A loose ``fmax`` is caught in
`test_elastic`, a slab of a strained crystal in `test_surface`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ase import Atoms
from classical import difficult, lennard_jones, tersoff

from lamplighter.lammps_interface.placement import Placement
from lamplighter.validation.engines import (
    AseEngine,
    LammpsLibEngine,
    lammps,
    lammps_file,
    lammps_input,
    pair_style,
    variants,
)
from lamplighter.validation.engines.variants import Lammps
from lamplighter.validation.properties import parity
from lamplighter.validation.properties.parity import ParitySettings


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    """Tersoff's silicon in LAMMPS' library and in ASE, and tilted structures."""
    potential = tersoff(tmp_path_factory.mktemp("potential"))
    structures = difficult(potential.crystal(), potential.elements)
    few = {name: structures[name] for name in ("triclinic +1", "triclinic -1", "slab")}
    with LammpsLibEngine(pair_style(potential.lines, potential.elements)) as engine:
        yield AseEngine(potential.calculator()), engine, few


def failures(subject, settings: ParitySettings | None = None) -> set[str]:
    reference, engine, structures = subject
    engine.close()  # an input that was changed begins anew
    result = parity.run(
        structures, reference, engine, settings or ParitySettings(points="none")
    )
    engine.close()
    assert (result.status == "invalid") == bool(result.failed())
    return {check.name.removeprefix("parity of ") for check in result.failed()}


def test_unbroken_it_passes(subject):
    assert failures(subject) == set()


def test_stress_of_the_wrong_sign(subject, monkeypatch):
    metal = lammps_input.UNITS["metal"]
    wrong = dataclasses.replace(metal, nktv2p=-metal.nktv2p)
    monkeypatch.setitem(lammps_input.UNITS, "metal", wrong)
    assert failures(subject) == {"stress", "strain"}


@pytest.mark.parametrize(
    ("nktv2p", "expected"),
    [
        (1e6, {"stress", "strain"}),  # GPa taken for eV/Å^3, or bar for GPa: any factor
        (1602176.634, {"stress"}),  # the exact constant, which LAMMPS does not use
    ],
)
def test_stress_in_the_wrong_unit(subject, monkeypatch, nktv2p, expected):
    metal = lammps_input.UNITS["metal"]
    wrong = dataclasses.replace(metal, nktv2p=nktv2p)
    monkeypatch.setitem(lammps_input.UNITS, "metal", wrong)
    assert failures(subject) == expected


def test_energy_in_the_wrong_unit(subject, monkeypatch):
    metal = lammps_input.UNITS["metal"]
    wrong = dataclasses.replace(metal, energy=lammps_input.KCAL_PER_MOL)
    monkeypatch.setitem(lammps_input.UNITS, "metal", wrong)
    assert {"energy", "energies", "forces", "stress"} <= failures(subject)


def test_voigt_order_of_ase_where_lammps_has_its_own(subject, monkeypatch):
    ase_order = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
    monkeypatch.setattr(lammps_input, "_VOIGT", ase_order)
    # Rotation does not see it: LAMMPS' box is the same for a crystal that is turned.
    assert failures(subject) == {"stress", "strain"}


def changed_output(monkeypatch, old: str, new: str) -> None:
    """Change the line with which LAMMPS writes forces."""
    good = lammps_input.single_point

    def broken(*words, **options):
        lines = good(*words, **options)
        assert any(old in line for line in lines)
        return [line.replace(old, new) for line in lines]

    for module in (lammps, lammps_file):
        monkeypatch.setattr(module, "single_point", broken)


def unchecked(path, n_atoms):  # noqa: ARG001
    """Read a dump as those do who trust its order."""
    return np.loadtxt(path, skiprows=9, ndmin=2)


def test_output_without_sort_is_refused(subject, monkeypatch):
    # Written backwards: unsorted output may be in order by chance.
    changed_output(monkeypatch, "sort id", "sort -1")
    assert any("evaluation of" in name for name in failures(subject))


def test_output_without_sort_and_a_reader_that_trusts_it(subject, monkeypatch):
    changed_output(monkeypatch, "sort id", "sort -1")
    monkeypatch.setattr(lammps_input, "read_dump", unchecked)
    found = failures(subject)
    assert {"energies", "forces", "slope"} <= found
    assert "sum" not in found


def test_forces_with_five_digits(subject, monkeypatch):
    changed_output(monkeypatch, "%.17g", "%g")
    assert {"forces"} <= failures(subject)


def test_forces_rotated_the_wrong_way(subject, monkeypatch):
    monkeypatch.setattr(
        Placement, "forces_back", lambda self, forces: forces @ self.rotation
    )
    assert {"forces", "slope", "rotation"} <= failures(subject)


def test_stress_left_in_the_axes_of_lammps(subject, monkeypatch):
    monkeypatch.setattr(Placement, "stress_back", lambda _, stress: stress)
    assert {"stress", "strain", "rotation"} <= failures(subject)


def test_stress_of_the_box_where_the_cell_has_vacuum(subject, monkeypatch):
    def of_the_box(self, stress):
        return self.rotation @ stress @ self.rotation.T

    monkeypatch.setattr(Placement, "stress_back", of_the_box)
    reference, engine, structures = subject
    result = parity.run(
        {"slab": structures["slab"]}, reference, engine, ParitySettings(points="none")
    )
    assert {c.name for c in result.failed()} == {
        "parity of stress",
        "parity of strain",
    }


def test_types_in_the_other_order(tmp_path):
    """Masses and elements are right, coefficients belong to the other type."""
    potential = lennard_jones(tmp_path)
    lines = (
        "pair_style lj/cut 6.0",
        "pair_coeff 1 1 0.2 2.3",
        "pair_coeff 2 2 0.3 2.1",
        "pair_coeff 1 2 0.25 2.2",
        "pair_modify shift yes",
    )
    atoms = difficult(potential.crystal(), potential.elements)["triclinic +1"]
    with (
        LammpsLibEngine(pair_style(lines, ("Cu", "Ni"))) as right,
        LammpsLibEngine(pair_style(lines, ("Ni", "Cu"))) as wrong,
    ):
        result = parity.run(
            {"alloy": atoms}, right, wrong, ParitySettings(points="none")
        )
    failed = {c.name.removeprefix("parity of ") for c in result.failed()}
    assert {"energy", "energies", "forces", "stress"} <= failed


@pytest.mark.mpi
def test_lists_that_atoms_have_left(monkeypatch):
    """Far too hot for the skin: neighbour lists are stale, and the point says so."""
    monkeypatch.setattr(variants, "TEMPERATURE", 4e6)
    lines = ("pair_style lj/cut 3.0", "pair_coeff * * 0.2 2.3")
    atoms = Atoms("Cu32", pbc=True, cell=[8.0, 8.0, 8.0])
    atoms.set_scaled_positions(
        np.array([p for p in np.ndindex(4, 4, 4) if sum(p) % 2 == 0]) / 4
    )
    with LammpsLibEngine(pair_style(lines, ("Cu",))) as engine:
        result = parity.run({"hot": atoms}, engine, engine)
    failed = {c.name.removeprefix("parity: ") for c in result.failed()}
    assert {"dynamics", "neighbours"} <= failed
    assert "2 ranks" not in failed


@pytest.mark.mpi
def test_a_rank_that_computes_something_else(tmp_path, monkeypatch):
    potential = lennard_jones(tmp_path)
    atoms = difficult(potential.crystal(), potential.elements)["rattled"]
    good = Lammps.variant

    def half_wrong(self, *preamble, ranks=None, skin=None):
        if ranks == 2:
            lines = (x.replace("0.2 2.3", "0.2001 2.3") for x in self.style.commands)
            style = dataclasses.replace(self.style, commands=tuple(lines))
            self = dataclasses.replace(self, style=style)
        return good(self, *preamble, ranks=ranks, skin=skin)

    monkeypatch.setattr(Lammps, "variant", half_wrong)
    with LammpsLibEngine(pair_style(potential.lines, potential.elements)) as engine:
        result = parity.run(
            {"rattled": atoms},
            engine,
            engine,
            ParitySettings(directions=0, invariances=False, failures=tmp_path / "bad"),
        )
    assert [c.name for c in result.failed()] == ["parity: 2 ranks"]
    assert (tmp_path / "bad" / "rattled-points.extxyz").is_file()
    assert (tmp_path / "bad" / "rattled-points.lammps" / "in.lammps").is_file()
