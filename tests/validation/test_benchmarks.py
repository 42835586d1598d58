"""Benchmarks: scores, classical potentials, made-up folders of data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.morse import MorsePotential

from lamplighter.errors import ConfigError, DataError
from lamplighter.validation.benchmarks import (
    CATALOGUE,
    DOMAIN_WEIGHTS,
    BenchmarkResult,
    benchmark,
    overall,
)
from lamplighter.validation.engines import AseEngine, Result
from lamplighter.validation.engines.base import WANT_DEFAULT

EMT_ENGINE = AseEngine(EMT())


def test_the_catalogue_is_the_papers_list() -> None:
    assert [p.number for p in CATALOGUE.values()] == list(range(1, 16))
    assert {p.domain for p in CATALOGUE.values()} == set(DOMAIN_WEIGHTS)
    assert sum(DOMAIN_WEIGHTS.values()) == pytest.approx(1.0)
    free = [p.name for p in CATALOGUE.values() if not (p.needs or p.unavailable)]
    assert free == ["diatomics", "extensivity", "locality"]
    for protocol in CATALOGUE.values():
        assert protocol.metrics
        assert protocol.version
        if not protocol.unavailable:
            assert callable(protocol._measure())


def test_the_score_is_a_clipped_straight_line() -> None:
    metric = benchmark("s30l").metrics[0]
    assert [metric.score(x) for x in (0.0, 2.4, 11.2, 20.0, 99.0)] == pytest.approx(
        [1.0, 1.0, 0.5, 0.0, 0.0]
    )


def result(name: str, score: float) -> BenchmarkResult:
    protocol = benchmark(name)
    return BenchmarkResult(
        name=name, domain=protocol.domain, version="1", engine={}, values={}, units={},
        scores={}, score=score,
    )  # fmt: skip


def test_domains_without_a_result_take_no_part() -> None:
    both = [result("diatomics", 1.0), result("locality", 0.5), result("x23", 0.25)]
    scores = overall(both)
    assert scores["physicality"] == 0.75
    assert scores["overall"] == pytest.approx((0.1 * 0.75 + 0.2 * 0.25) / 0.3)
    with pytest.raises(ConfigError, match="nothing to score"):
        overall([])


def test_unknown_benchmarks_and_those_without_data_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'diatomics'"):
        benchmark("diatomic")
    with pytest.raises(ConfigError, match=r"X23 needs its data; .*reactions\.csv"):
        benchmark("x23").run(EMT_ENGINE, ["C"])
    closed = replace(benchmark("x23"), unavailable="not yet")
    with pytest.raises(ConfigError, match="cannot be run; got: not yet"):
        closed.run(EMT_ENGINE, ["C"])


def test_a_morse_curve_is_a_perfect_diatomic() -> None:
    # One minimum, one change of sign of the force, one of its slope.
    engine = AseEngine(
        MorsePotential(epsilon=2.0, rho0=6.0, r0=1.5, rcut1=8.0, rcut2=9.0)
    )
    found = benchmark("diatomics").run(engine, ["O"])
    assert found.values["force_flips"] == 1
    assert found.values["minima"] == 1
    assert found.values["inflections"] == 1
    assert found.values["repulsion"] == pytest.approx(-1.0)
    assert found.values["attraction"] == pytest.approx(1.0)
    assert found.score == pytest.approx(1.0)
    assert not found.deviations


class Rippled:
    """An engine whose pairs have a ripple: many minima."""

    info = EMT_ENGINE.info

    def compute(self, atoms: Atoms, _: Sequence[str] = WANT_DEFAULT) -> Result:
        r = atoms.get_distance(0, 1)
        energy = 0.5 * np.cos(6 * r) + (3 - r) ** 2
        force = np.array([0, 0, 3 * np.sin(6 * r) + 2 * (3 - r)])
        return Result(
            energy=float(energy), forces=np.array([-force, force]), stress=None,
            energies=None, info=self.info, wall_s=0.0,
        )  # fmt: skip

    def compute_many(
        self, structures: Sequence[Atoms], want: Sequence[str] = WANT_DEFAULT
    ) -> list[Result]:
        return [self.compute(atoms, want) for atoms in structures]


def test_a_rippled_curve_scores_less() -> None:
    found = benchmark("diatomics").run(Rippled(), ["O"])
    assert found.values["minima"] >= 3
    assert found.values["force_flips"] == 2 * found.values["minima"] - 1
    assert found.score < 0.7


def test_a_sum_over_pairs_is_extensive_and_local() -> None:
    engine = AseEngine(LennardJones(epsilon=0.01, sigma=2.2, rc=6.0))
    slabs = benchmark("extensivity").run(engine, ["Al", "Ni"])
    assert slabs.values["energy"] < 1e-6
    assert (slabs.score, slabs.deviations) == (pytest.approx(1.0), ())
    local = benchmark("locality").run(engine, ["C", "H", "O", "Ne"])
    assert local.values == {"cloud": 0.0, "single": 0.0}
    assert local.score == 1.0
    assert not local.deviations
    assert len(local.rows) == 31


def test_what_feels_the_total_number_of_atoms_is_neither() -> None:
    class Crowded(Rippled):
        def compute(self, atoms: Atoms, _: Sequence[str] = WANT_DEFAULT) -> Result:
            n = len(atoms)
            return Result(
                energy=1e-6 * n * n, forces=np.full((n, 3), 1e-3 * n), stress=None,
                energies=None, info=self.info, wall_s=0.0,
            )  # fmt: skip

    slabs = benchmark("extensivity").run(Crowded(), ["Al", "Ni"])
    assert slabs.values["energy"] == pytest.approx(1000 * 2 * 128 * 128 * 1e-6)
    local = benchmark("locality").run(Crowded(), ["C", "H", "O", "Ne"])
    assert local.values["cloud"] == pytest.approx(20 * 3**0.5)
    assert local.values["single"] == pytest.approx(3**0.5)


def test_other_elements_are_a_deviation() -> None:
    engine = AseEngine(LennardJones(epsilon=0.01, sigma=2.2, rc=6.0))
    slabs = benchmark("extensivity").run(engine, ["Cu"])
    assert slabs.deviations == ("slabs of Cu and Cu instead of Al and Ni",)
    local = benchmark("locality").run(engine, ["Cu"])
    assert "Cu8 instead of acetone" in local.deviations
    assert len(local.deviations) == 3


def reactions(folder: Path, lines: str) -> Path:
    """A folder of copper clusters with a table."""
    for n in (1, 2, 3):
        places = [[0, 0, 2.4 * k] for k in range(n)]
        Atoms(f"Cu{n}", places).write(folder / f"cu{n}.xyz")
    (folder / "reactions.csv").write_text(lines)
    return folder


def energy(n: int) -> float:
    atoms = Atoms(f"Cu{n}", [[0, 0, 2.4 * k] for k in range(n)])
    return float(AseEngine(EMT()).compute(atoms, ("energy",)).energy)


def test_energy_differences_are_held_against_references(tmp_path: Path) -> None:
    value = energy(2) - 2 * energy(1)
    folder = reactions(
        tmp_path,
        f"name,reference,terms\ndimer,{value - 0.1},1 cu2.xyz -2 cu1.xyz\n",
    )
    found = benchmark("s24").run(EMT_ENGINE, ["Cu"], folder)
    assert found.values["mae"] == pytest.approx(0.1)
    assert found.score == pytest.approx((0.5 - 0.1) / 0.45)
    assert found.deviations == ("1 reactions, the published set has 24",)
    in_kj = benchmark("x23").run(EMT_ENGINE, ["Cu"], folder).rows[0]["value"]
    assert in_kj == pytest.approx(96.4853 * value, rel=1e-5)


def test_weighted_subsets_and_orders(tmp_path: Path) -> None:
    a, b = energy(2) - 2 * energy(1), energy(3) - 3 * energy(1)
    folder = reactions(
        tmp_path,
        "name,group,reference,terms,charge,multiplicity\n"
        f"a,one,{23.0605 * a + 1},1 cu2.xyz -2 cu1.xyz,0,1\n"
        f"b,two,{23.0605 * b + 2},1 cu3.xyz -3 cu1.xyz,0,1\n"
        "c,two,5,1 cu3.xyz -3 cu1.xyz,1,2\n",
    )
    found = benchmark("gmtkn55").run(EMT_ENGINE, ["Cu"], folder)
    assert len(found.rows) == 2
    sizes = [abs(row["reference"]) for row in found.rows]
    expected = 56.84 * (1 / sizes[0] + 2 / sizes[1]) / 2
    assert found.values["wtmad"] == pytest.approx(expected, rel=1e-3)
    ranked = benchmark("oc157").run(EMT_ENGINE, ["Cu"], folder)
    signs = [np.sign(row["value"]) == np.sign(row["reference"]) for row in ranked.rows]
    assert ranked.values["ranking"] == pytest.approx(1 - np.mean(signs))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("name,reference,terms\na,1,1 cu2.xyz -2 no.xyz 1 nor.xyz\n",
         r"2 of 3 files are missing in .*; got: no\.xyz, nor\.xyz"),
        ("name,reference,terms\na,one,1 cu2.xyz\n", "line 2 cannot be read"),
        ("name,reference,terms\na,1,cu2.xyz\n", "line 2 cannot be read"),
        ("name,reference,terms\n", "is empty"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(tmp_path: Path, lines: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        benchmark("s30l").run(EMT_ENGINE, ["Cu"], reactions(tmp_path, lines))


def test_folders_without_a_table_and_unknown_elements(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no table; got: no .*reactions\.csv"):
        benchmark("s30l").run(EMT_ENGINE, ["Cu"], tmp_path)
    with pytest.raises(DataError, match=r"no table; got: no .*crystals\.csv"):
        benchmark("phonons").run(EMT_ENGINE, ["Cu"], tmp_path)
    folder = reactions(tmp_path, "name,reference,terms\na,1,1 cu2.xyz\n")
    with pytest.raises(DataError, match="no reaction can be computed; got: elements H"):
        benchmark("s30l").run(EMT_ENGINE, ["H"], folder)


def crystals(folder: Path, columns: str, values: str) -> Path:
    bulk("Cu", a=3.65).write(folder / "cu.cif")
    bulk("Si", a=5.43).write(folder / "si.cif")
    (folder / "crystals.csv").write_text(
        f"name,file,{columns}\nCu,cu.cif,{values}\nSi,si.cif,{values}\n"
    )
    return folder


def test_lattice_constants(tmp_path: Path) -> None:
    folder = crystals(tmp_path, "lattice_constant", "3.6")
    found = benchmark("lattice-constants").run(EMT_ENGINE, ["Cu"], folder)
    # EMT's copper: 3.590 Å.
    assert found.values["mae"] == pytest.approx(0.010, abs=0.001)
    assert "1 crystals left out: elements that are not known" in found.deviations
    with pytest.raises(DataError, match="lacks columns"):
        benchmark("elasticity").run(EMT_ENGINE, ["Cu"], folder)


def test_elastic_moduli(tmp_path: Path) -> None:
    folder = crystals(tmp_path, "bulk_modulus,shear_modulus", "140,50")
    found = benchmark("elasticity").run(EMT_ENGINE, ["Cu"], folder)
    row = found.rows[0]
    assert row["bulk"] == pytest.approx(134, abs=4)
    assert found.values["bulk_mae"] == pytest.approx(abs(row["bulk"] - 140))
    wrong = crystals(tmp_path, "bulk_modulus,shear_modulus", "many,50")
    outcome = None
    with pytest.raises(DataError, match="gave no bulk_mae"):
        outcome = benchmark("elasticity").run(EMT_ENGINE, ["Cu"], wrong)
    assert outcome is None


def phonon_folder(folder: Path) -> Path:
    """Phonons of EMT's aluminium as the reference, displacements and forces."""
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    cell = bulk("Al", a=3.995, cubic=True)
    found = Phonopy(
        PhonopyAtoms(cell.get_chemical_symbols(), cell=cell.cell.array,
                     scaled_positions=cell.get_scaled_positions()),
        supercell_matrix=np.diag([2, 2, 2]), primitive_matrix="F", log_level=0,
    )  # fmt: skip
    found.generate_displacements(distance=0.01)
    forces = []
    for one in found.supercells_with_displacements:
        atoms = Atoms(one.symbols, cell=one.cell, positions=one.positions, pbc=True)
        forces.append(EMT_ENGINE.compute(atoms, ("forces",)).forces)
    found.forces = forces
    found.save(folder / "al.yaml")
    (folder / "crystals.csv").write_text("name,file\nAl,al.yaml\n")
    return folder


def test_phonons_of_the_reference_itself_are_exact(tmp_path: Path) -> None:
    folder = phonon_folder(tmp_path)
    found = benchmark("phonons").run(EMT_ENGINE, ["Al"], folder)
    assert found.values["highest"] < 0.1
    assert found.values["entropy"] < 0.01
    assert found.values["stability_f1"] == 1.0
    assert found.score == pytest.approx(1.0, abs=1e-3)
    assert found.rows[0]["highest"] > 300  # K
    json.dumps(found.to_dict())


@pytest.mark.slow
def test_softer_phonons_are_errors(tmp_path: Path) -> None:
    class Soft(AseEngine):
        def compute(self, atoms: Atoms, want: Sequence[str] = WANT_DEFAULT) -> Result:
            found = super().compute(atoms, want)
            return replace(found, forces=0.25 * found.forces)

    found = benchmark("phonons").run(Soft(EMT()), ["Al"], phonon_folder(tmp_path))
    row = found.rows[0]
    assert row["highest"] == pytest.approx(0.5 * row["highest_reference"], rel=1e-3)
    assert found.values["entropy"] > 5


def test_phonon_files_without_forces_are_named(tmp_path: Path) -> None:
    folder = phonon_folder(tmp_path)
    shutil.copy(folder / "crystals.csv", folder / "al.yaml")
    with pytest.raises(DataError, match="gave no highest"):
        benchmark("phonons").run(EMT_ENGINE, ["Al"], folder)
