"""Physical checks: shipped potentials pass, what cannot be measured is said."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.emt import EMT
from ase.data import chemical_symbols
from ase.neighborlist import neighbor_list

from lamplighter import cli
from lamplighter.errors import ConfigError
from lamplighter.model import (
    Calculator,
    ConditionSpec,
    Graph,
    HeadSpec,
    Potential,
    PotentialConfig,
    collate,
    load_potential,
    save_potential,
)
from lamplighter.resources import base_model
from lamplighter.validation.model_checks import (
    CHECKS,
    ModelReport,
    batched,
    check_model,
    repetition,
    structures,
    subject_of_calculator,
    subject_of_potential,
)
from lamplighter.validation.model_checks.catalogue import CATALOGUE
from lamplighter.validation.model_checks.record import CheckRecord, judged

INFORMATIVE = {"locality.reach", "isolated.offset"}


def tiny(elements: Sequence[str] = ("O", "Mg"), **changes: object) -> Potential:
    """Return an untrained potential with one head, in float64."""
    torch.manual_seed(0)
    energies = {element: -float(len(element)) for element in elements}
    settings: dict[str, object] = {
        "cutoff": 4.0,
        "channels": 4,
        "edge_channels": 4,
        "l_max": 2,
        "radial_hidden": (8,),
        "n_radial": 4,
    }
    config = PotentialConfig(
        elements=tuple(elements),
        heads=(
            HeadSpec(name="pbe", level_of_theory="PBE", reference_energies=energies),
        ),
        **{**settings, **changes},  # type: ignore[arg-type]
    )
    return Potential(config).double().eval().requires_grad_(requires_grad=False)


def by_name(report: ModelReport) -> dict[str, CheckRecord]:
    return {record.name: record for record in report.records}


@pytest.mark.parametrize(
    ("head", "elements"), [("pbe", ("O", "Mg")), ("wb97m-v", ("H", "Mg"))]
)
def test_the_base_model_passes_every_check(
    head: str, elements: tuple[str, ...]
) -> None:
    report = check_model(base_model(), head=head, elements=elements)
    assert report.failed == ()
    assert {record.check for record in report.records} == set(CHECKS)
    assert not [r for r in report.records if r.status == "skipped"]
    told = {r.name for r in report.records if r.status == "information"}
    pairs = {f"close_approach.{elements[0]}-{elements[1]}"}
    pairs |= {f"close_approach.{element}-{element}" for element in elements}
    assert told == INFORMATIVE | pairs


@pytest.mark.slow
@pytest.mark.parametrize("head", ["r2scan", "rpbe", "b3lyp-d3bj"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_head_passes_for_all_elements(head: str, dtype: str) -> None:
    report = check_model(base_model(), head=head, dtype=dtype)
    assert report.failed == ()
    assert report.elements == ("H", "C", "O", "Mg")
    skipped = {r.name for r in report.records if r.status == "skipped"}
    assert skipped == ({"smoothness.slope"} if dtype == "float32" else set())


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_forces_reach_further_than_energies(n_layers: int) -> None:
    """Atomic energies reach n_layers cutoffs, forces up to twice that."""
    report = check_model(tiny(n_layers=n_layers), checks=["locality"])
    found = by_name(report)
    assert not report.failed
    reach = found["locality.reach"].value
    assert reach is not None
    assert 4.0 < reach <= 2 * 4.0 * n_layers


def test_an_understated_range_is_found() -> None:
    subject = subject_of_potential(tiny())
    lying = dataclasses.replace(subject, cutoff=2.0, receptive_field=2.0)
    failed = {r.name for r in check_model(lying, checks=["locality"]).failed}
    assert failed == {"locality.separate", "locality.forces", "locality.energies"}


def test_emt_goes_the_way_of_plain_calculators() -> None:
    report = check_model(EMT(), elements=("Cu", "Au"))
    assert report.failed == ()
    found = by_name(report)
    reasons = {name: r.note for name, r in found.items() if r.status == "skipped"}
    assert "one structure at a time" in reasons["batch.energy"]
    assert "the cutoff is unknown" in reasons["smoothness.slope"]
    assert "the cutoff is unknown" in reasons["locality.separate"]
    assert "cannot be chosen" in reasons["dtype.forces"]
    assert "E0" in reasons["isolated.offset"]
    assert found["rotation.stress"].status == "pass"
    assert report.model == "EMT"


def test_a_calculator_without_stress_is_told_apart() -> None:
    class NoStress(EMT):
        implemented_properties = ["energy", "forces"]  # noqa: RUF012

    checks = ["rotation", "derivatives"]
    found = by_name(check_model(NoStress(), elements=("Cu",), checks=checks))
    for name in ("rotation.stress", "derivatives.stress"):
        assert found[name].status == "skipped"
        assert "does not compute stress" in found[name].note
    assert found["derivatives.forces"].status == "pass"


def test_a_lamplighter_calculator_is_a_potential_with_a_calculator() -> None:
    calculator = Calculator(tiny())
    subject = subject_of_calculator(calculator, None)
    assert subject.calculator is calculator
    assert subject.cutoff == 4.0
    assert subject.receptive_field == 8.0
    # what the calculator adds to the potential must not be lost in batches
    assert not subject.batches
    atoms = [Atoms("Mg"), structures.crystal(("O", "Mg"), 4.0)]
    single = subject.evaluate_many(atoms)
    batch = subject_of_potential(calculator.potential).evaluate_many(atoms)
    for one, other in zip(single, batch, strict=True):
        assert one.energy == pytest.approx(other.energy, abs=1e-12)
        np.testing.assert_allclose(one.forces, other.forces, atol=1e-12)


def test_batches_of_many_pairs_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = subject_of_potential(tiny())
    atoms = [structures.crystal(("O", "Mg"), 4.0)] * 3 + [Atoms("O")]
    sizes = []

    def spy(graphs: Sequence[Graph]) -> Graph:
        sizes.append(len(graphs))
        return collate(graphs)

    monkeypatch.setattr(batched, "collate", spy)
    monkeypatch.setattr(batched, "_MOST_PAIRS", 1)
    found = subject.evaluate_many(atoms)
    assert sizes == [1, 1, 1, 1]
    assert [one.n_atoms for one in found] == [8, 8, 8, 1]


def test_heads_that_leak_in_a_batch_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def leaking(graphs: Sequence[Graph]) -> Graph:
        together = collate(graphs)
        together.heads[:] = together.heads[0]
        return together

    monkeypatch.setattr(batched, "collate", leaking)
    potential = load_potential(base_model())
    subject = subject_of_potential(potential, "pbe", elements=("O", "Mg"))
    report = check_model(subject, checks=["batch", "close_approach"])
    failed = {record.name for record in report.failed}
    assert failed == {"batch.energy", "batch.forces", "batch.stress"}


def test_a_poor_single_precision_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Coarse(Calculator):
        def calculate(self, *args, **kwargs) -> None:
            super().calculate(*args, **kwargs)
            if self.potential.dtype == torch.float32:
                self.results["energy"] = round(self.results["energy"], 1)

    monkeypatch.setattr(repetition, "Calculator", Coarse)
    report = check_model(tiny())
    assert {record.name for record in report.failed} == {"dtype.energy"}


def test_dropout_that_is_still_on_is_found() -> None:
    potential = tiny()
    potential.readouts[-1].register_forward_hook(
        lambda _module, _inputs, out: out * (1 + 1e-6 * torch.rand_like(out))
    )
    report = check_model(potential, checks=["determinism", "close_approach"])
    assert {r.name for r in report.failed} >= {
        "determinism.energy",
        "determinism.forces",
    }


def test_a_weight_that_is_no_number_fails_and_stops_nothing() -> None:
    potential = tiny()
    potential.embedding[1] = float("nan")
    report = check_model(potential)
    assert report.failed_checks == set(CHECKS)
    (record,) = [r for r in report.failed if r.name == "isolated.energy"]
    assert record.value == 1.0
    assert record.note.endswith("Mg")
    assert json.dumps(report.to_dict(), allow_nan=False)


def test_a_charge_that_leaks_in_a_batch_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    charge = ConditionSpec(name="total_charge", kind="continuous", width=4)
    potential = tiny(conditions=(charge,))

    def leaking(graphs: Sequence[Graph]) -> Graph:
        together = collate(graphs)
        together.conditions[:] = together.conditions[0].clone()
        return together

    assert not check_model(potential, checks=["batch"]).failed
    monkeypatch.setattr(batched, "collate", leaking)
    assert check_model(potential, checks=["batch"]).failed_checks == {"batch"}


def test_elements_are_a_spread_sample() -> None:
    every = chemical_symbols[1:90]
    sample = subject_of_potential(tiny(every)).sample
    assert sample == ("H", "Zn", "Nd", "Ac")
    assert subject_of_potential(tiny(every)).elements == tuple(every)
    chosen = subject_of_potential(tiny(every), elements=("O", "He", "O")).sample
    assert chosen == ("He", "O")


@pytest.mark.parametrize(
    "elements", [("Cu",), ("H", "C", "O", "Mg"), ("H", "Cs"), chemical_symbols[1:14]]
)
@pytest.mark.parametrize("cutoff", [3.5, 6.0, None])
def test_structures_have_neighbours_and_all_elements(
    elements: Sequence[str], cutoff: float | None
) -> None:
    reach = cutoff or 12.0
    crystal = structures.crystal(elements, cutoff)
    cluster = structures.cluster(elements, cutoff)
    chain = structures.chain(elements, reach, 20.0)
    for atoms in (crystal, cluster):
        assert set(atoms.get_chemical_symbols()) == set(elements)
    small = structures.small_cell(elements, cutoff)
    for atoms in (crystal, cluster, chain, small):
        i, distance = neighbor_list("id", atoms, reach)
        assert set(i) == set(range(len(atoms)))
        assert distance.min() > 0.5 * min(structures.spacing(elements, cutoff), 3.0)
    assert np.ptp(chain.positions[:, 0]) > 20.0
    # the same at every call
    np.testing.assert_array_equal(
        crystal.positions, structures.crystal(elements, cutoff).positions
    )


def test_rotations_are_proper() -> None:
    for seed in range(5):
        turn = structures.rotation(seed)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-14)
        assert np.linalg.det(turn) == pytest.approx(1.0)


def test_every_check_is_explained() -> None:
    assert set(CATALOGUE) == set(CHECKS)
    for entry in CATALOGUE.values():
        assert entry.meaning.endswith(".")
        assert entry.advice.endswith(".")


def test_what_is_no_number_fails_and_fits_json() -> None:
    record = judged("rotation.energy", float("nan"), 1.0, "eV")
    assert record.status == "fail"
    content = record.to_dict()
    assert content["value"] is None
    assert content["advice"]
    assert json.loads(json.dumps(content, allow_nan=False)) == content


def test_checks_are_made_in_order_and_reported() -> None:
    done: list[str] = []
    chosen = ["isolated", "rotation"]
    report = check_model(EMT(), elements=("Cu",), checks=chosen, advance=done.append)
    assert done == ["rotation", "isolated"]
    assert {record.check for record in report.records} == set(chosen)


def test_guards() -> None:
    with pytest.raises(ConfigError, match=r"unknown check.*'?magic'?.*determinism"):
        check_model(EMT(), elements=("Cu",), checks=["magic"])
    with pytest.raises(ConfigError, match=r"must be named.*EMT.*elements"):
        check_model(EMT())
    with pytest.raises(ConfigError, match=r"does not know.*Xx"):
        check_model(EMT(), elements=("Xx",))
    with pytest.raises(ConfigError, match=r"unknown dtype.*float16"):
        check_model(EMT(), elements=("Cu",), dtype="float16")
    with pytest.raises(ConfigError, match=r"does not know.*Si.*O, Mg"):
        check_model(tiny(), elements=("Si",))
    with pytest.raises(ConfigError, match=r"unknown head.*pbe0"):
        check_model(tiny(), head="pbe0")


def test_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model, out = tmp_path / "tiny.safetensors", tmp_path / "checks.json"
    save_potential(tiny(zbl=False, n_layers=1), model)
    words = ["validate", "model", str(model), "--elements", "Mg", "--json", str(out)]
    code = cli.run(words)
    shown = capfd.readouterr().out
    content = json.loads(out.read_text())
    names = [record["name"] for record in content["records"]]
    assert all(name in shown for name in names)
    # untrained and without a core repulsion: it need not be repulsive, but is exact
    failed = {r["name"] for r in content["records"] if r["status"] == "fail"}
    assert failed <= {"close_approach.hole"}
    assert code == (1 if failed else 0)
    assert content["passed"] == (not failed)
    assert content["head"] == "pbe"
    assert content["elements"] == ["Mg"]
    assert len(content["sha256"]) == 64


def test_command_line_ends_with_one_when_a_check_fails(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Tilted(Calculator):
        def calculate(self, *args, **kwargs) -> None:
            super().calculate(*args, **kwargs)
            self.results["energy"] += 1e-3 * self.atoms.positions[:, 0].sum()

    module = "lamplighter.validation.model_checks.subject.Calculator"
    monkeypatch.setattr(module, Tilted)
    model = tmp_path / "tiny.safetensors"
    save_potential(tiny(), model)
    assert cli.run(["validate", "model", str(model), "--elements", "O"]) == 1
    shown = capfd.readouterr().out
    assert "FAIL translation.energy: " in shown
    assert "     Moving everything together changes nothing.\n" in shown


def test_command_line_refuses_bad_input(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "tiny.safetensors"
    save_potential(tiny(), model)
    assert cli.run(["validate", "model", str(model), "--head", "pbe0"]) == 2
    assert "unknown head" in capfd.readouterr().err
    assert cli.run(["validate", "model", str(tmp_path / "none")]) == 2
