"""Several potentials in one file: LAMMPS gets their mean, and how far they disagree."""

import dataclasses

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.io.lammpsdata import write_lammps_data

from lamplighter import cli
from lamplighter.errors import ArtifactError, ConfigError
from lamplighter.lammps_interface import bundle
from lamplighter.lammps_interface.certificate import CertifyOptions, certify, plan
from lamplighter.lammps_interface.convert import convert
from lamplighter.lammps_interface.mliap import MliapModel
from lamplighter.lammps_interface.runner import run_lammps
from lamplighter.lammps_interface.selfcheck import PeriodicRank
from lamplighter.model import CommitteeCalculator, Potential, save_potential

CUTOFF = 4.0
LABELS = ("rattled", "tilted", "rotated", "slab", "far pair", "isolated Mg")


@pytest.fixture(scope="module")
def members(potential, tmp_path_factory):
    """Three models whose weights differ by some percent."""
    folder = tmp_path_factory.mktemp("members")
    paths = []
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        member = Potential(potential.config).to(torch.float64)
        member.load_state_dict(potential.state_dict())
        with torch.no_grad():
            for weight in member.parameters():
                noise = torch.rand(weight.shape, generator=generator)
                weight.mul_(1.0 + 0.02 * noise)
        paths.append(folder / f"m{seed}.safetensors")
        save_potential(member, paths[-1], provenance={})
    return paths


@pytest.fixture(scope="module")
def committee(members):
    out = members[0].with_name("committee.pt")
    return convert(members, "pbe", ["Mg", "O"], out, tables=False)


@pytest.fixture(scope="module")
def ase(members):
    """Return what `CommitteeCalculator` says about a structure."""
    calculator = CommitteeCalculator(members, head="pbe")

    def evaluate(atoms):
        atoms = atoms.copy()
        atoms.calc = calculator
        atoms.get_forces()
        return dict(calculator.results)

    return evaluate


class CountingRank(PeriodicRank):
    """A rank of which LAMMPS may want uncertainties; it counts exchanges."""

    n_forward = n_reverse = 0

    def __init__(self, atoms, *names):
        super().__init__(atoms, CUTOFF, ("O", "Mg"))
        self.outputs = {name: np.zeros(self.nlocal) for name in names}

    def forward_exchange(self, src, dst, n):
        self.n_forward += 1
        super().forward_exchange(src, dst, n)

    def reverse_exchange(self, src, dst, n):
        self.n_reverse += 1
        super().reverse_exchange(src, dst, n)


def test_the_header_names_the_members(members, committee):
    header = bundle.read(committee).header
    assert header.n_members == 3
    assert header.member_names == tuple(path.name for path in members)
    assert header.member_sha256[0] == header.model_sha256
    assert len(set(header.member_sha256)) == 3
    assert 0 < header.self_check["forces"] < header.self_check["forces_tolerance"]


def test_one_member_is_a_plain_file(members, tmp_path):
    plain = convert(members[0], "pbe", ["Mg", "O"], tmp_path / "plain.pt", tables=False)
    one = convert(members[:1], "pbe", ["Mg", "O"], tmp_path / "one.pt", tables=False)
    assert one.read_bytes() == plain.read_bytes()
    assert "uncertainty" not in bundle.load_model(plain).outputs


def test_members_that_agree_have_no_uncertainty(members, structures, tmp_path):
    file = convert(
        [members[0]] * 3, "pbe", ["Mg", "O"], tmp_path / "same.pt", tables=False
    )
    rank = CountingRank(structures["rattled"], "uncertainty")
    bundle.load_model(file).compute_forces(rank)
    assert np.abs(rank.forces()).max() > 0.1
    assert np.abs(rank.outputs["uncertainty"]).max() == 0.0


def test_parts_of_the_energy_are_means(committee, structures):
    names = ("reference", "interaction", "repulsion", "uncertainty")
    mean = CountingRank(structures["rattled"], *names)
    model = bundle.load_model(committee)
    assert model.outputs == names
    model.compute_forces(mean)
    content = bundle.read(committee)
    header = dataclasses.replace(content.header, n_members=1)
    single = {name: [] for name in names[:3]}
    for one in content.members:
        rank = CountingRank(structures["rattled"], *single)
        alone = MliapModel(bundle.Bundle(header=header, potential=one))
        alone.compute_forces(rank)
        for name, values in single.items():
            values.append(rank.outputs[name])
    for name, values in single.items():
        wanted = np.mean(values, axis=0)
        np.testing.assert_allclose(mean.outputs[name], wanted, atol=1e-11)
    assert np.ptp([values.sum() for values in single["interaction"]]) > 1e-2


def test_all_ranks_make_the_same_exchanges(committee, structures):
    model = bundle.load_model(committee)
    nobody = Atoms(cell=np.eye(3) * 9, pbc=True)
    for atoms in (structures["rattled"], structures["isolated O"], nobody):
        for names, n_reverse in (((), 3), (("uncertainty",), 4)):
            rank = CountingRank(atoms, *names)
            model.compute_forces(rank)
            assert (rank.n_forward, rank.n_reverse) == (3, n_reverse)
    assert rank.outputs["uncertainty"].shape == (0,)


def changed(potential, first_head=None, **changes):
    """Return another model: without its first head ({}), or with a changed one."""
    config = potential.config
    if first_head is not None:
        first, *rest = config.heads
        kept = [dataclasses.replace(first, **first_head)] if first_head else []
        changes["heads"] = (*kept, *rest)
    return Potential(dataclasses.replace(config, **changes)).to(torch.float64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cutoff": 5.0}, "differ in the cutoff; got: 5 Å in other"),
        ({"n_layers": 1}, "differ in the number of layers; got: 1 in other"),
        ({"first_head": {}}, r"(?s)other\.safetensors: .*pbe.*scan"),
        (
            {"first_head": {"reference_energies": {"O": -432.1}}},
            r"other\.safetensors: head 'pbe' lacks an element; got: Mg",
        ),
        (
            {"first_head": {"level_of_theory": "PBEsol"}},
            "differ in the level of theory of head 'pbe'; got: PBEsol",
        ),
        (
            {"first_head": {"dispersion": "d3bj:pbe"}},
            "differ in the dispersion of head 'pbe'; got: d3bj:pbe",
        ),
    ],
)
def test_unlike_members_are_refused(members, potential, tmp_path, changes, message):
    other = tmp_path / "other.safetensors"
    save_potential(changed(potential, **changes), other, provenance={})
    with pytest.raises(ConfigError, match=message):
        convert([members[0], other], "pbe", ["Mg", "O"], tmp_path / "no.pt")
    assert not (tmp_path / "no.pt").exists()


def test_no_member_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no model to convert"):
        convert([], "pbe", ["Mg", "O"], tmp_path / "no.pt")


def test_a_damaged_member_is_refused(committee, tmp_path):
    content = bundle.read(committee)
    others = (content.others[0][:-8], content.others[1])
    broken = dataclasses.replace(content, others=others)
    bundle.write(tmp_path / "broken.pt", bundle.pack(broken))
    with pytest.raises(ArtifactError):
        bundle.load_model(tmp_path / "broken.pt")


def test_the_command_takes_several_models(members, tmp_path, capsys):
    out = str(tmp_path / "two.pt")
    words = ["--head", "pbe", "--elements", "Mg", "O", "-o", out]
    assert cli.run(["convert", *map(str, members[:2]), *words]) == 0
    assert "a committee of 2" in capsys.readouterr().out
    assert cli.run(["inspect", out]) == 0
    shown = capsys.readouterr().out.splitlines()
    (line,) = [one for one in shown if one.startswith("n members")]
    assert line.split()[-1] == "2"


def frames_of(path, columns):
    """Return the atoms' columns of every frame of a text dump, ordered by id."""
    words = path.read_text().split("ITEM: TIMESTEP")[1:]
    rows = [frame.split("ITEM: ATOMS ")[1].splitlines()[1:] for frame in words]
    found = [np.array([line.split() for line in lines], float) for lines in rows]
    assert all(one.shape[1] == columns for one in found)
    return found


ASK = """fix unc all pair 1 mliap uncertainty 1
dump unc all custom 1 unc.dump id f_unc
dump_modify unc append yes sort id format float %.17g"""


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_equals_the_committee_in_ase(
    evaluate, committee, structures, ase, tmp_path, ranks
):
    chosen = {label: structures[label] for label in LABELS}
    found = evaluate(chosen, committee, tmp_path, ranks=ranks, before=ASK)
    uncertainties = frames_of(tmp_path / "unc.dump", 2)
    for (label, one), rows in zip(found.items(), uncertainties, strict=True):
        wanted = ase(chosen[label])
        n = len(chosen[label])
        assert one.energy == pytest.approx(wanted["energy"], abs=1e-9 * n)
        np.testing.assert_allclose(one.energies, wanted["energies"], atol=1e-9)
        np.testing.assert_allclose(one.forces, wanted["forces"], atol=1e-9)
        np.testing.assert_allclose(rows[:, 1], wanted["forces_norm_std"], atol=1e-9)
        if "stress" in wanted:
            xx, yy, zz, yz, xz, xy = wanted["stress"]
            stress = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
            np.testing.assert_allclose(one.stress, stress, atol=1e-9)
        size = rows[:, 1].max()
        assert size < 1e-12 if label in ("far pair", "isolated Mg") else size > 1e-2
    assert "mean of a committee of 3" in one.output


START = """clear
units metal
atom_style atomic
read_data a.data
"""
MANY_BODY = """pair_style mliap unified {file} 0 check 1
pair_coeff * * Mg O
compute w all centroid/stress/atom NULL virial
dump w all custom 1 w.dump id c_w[*]
dump_modify w append yes sort id format float %.17g
run 0 post no
"""
WITH_NULL = """pair_style hybrid/overlay mliap unified {file} 0 zero 4.0
pair_coeff * * mliap Mg NULL
pair_coeff * * zero
"""


@pytest.mark.mpi
def test_heat_flux_parity_and_null_types(members, committee, structures, ase, tmp_path):
    atoms = structures["rattled"]
    write_lammps_data(tmp_path / "a.data", atoms, specorder=["Mg", "O"], masses=True)
    files = [committee]
    for path in members:
        out = tmp_path / f"{path.stem}.pt"
        files.append(convert(path, "pbe", ["Mg", "O"], out, tables=False))
    text = "".join(START + MANY_BODY.format(file=file) for file in files)
    text += START + WITH_NULL.format(file=committee) + ASK + "\nrun 0 post no\n"
    (tmp_path / "in.lammps").write_text(text)
    done = run_lammps(tmp_path / "in.lammps", ranks=2)
    assert done.output.count("parity check at step 0") == 4
    mean, *single = frames_of(tmp_path / "w.dump", 10)
    wanted = np.mean(single, axis=0)
    np.testing.assert_allclose(mean, wanted, rtol=1e-10, atol=1e-4)  # bar Å^3
    assert np.abs(wanted[:, 1:]).max() > 1e5
    (rows,) = frames_of(tmp_path / "unc.dump", 2)
    magnesium = atoms.symbols == "Mg"
    assert np.abs(rows[~magnesium, 1]).max() == 0.0
    alone = ase(atoms[magnesium])["forces_norm_std"]
    np.testing.assert_allclose(rows[magnesium, 1], alone, atol=1e-9)
    assert alone.max() > 1e-4


@pytest.mark.mpi
def test_the_certificate_of_a_committee_holds(committee):
    """Two ranks, one of them empty: the mean of the members, each with its exchange."""
    options = CertifyOptions(ranks=(1, 2), cases=("slab", "one atom"))
    found = certify(plan(committee, None, options))
    assert found.verdict == "holds", [one.message for one in found.bad]
    assert found.coverage["with_an_empty_rank"] >= 1
    assert len(found.outcomes) == 8
