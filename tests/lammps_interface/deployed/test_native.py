"""Steps that the pair style evaluates without Python, against those through Python."""

import ctypes
import os

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.io.lammpsdata import write_lammps_data

from lamplighter.errors import ConfigError
from lamplighter.lammps_interface import bundle, loading, pair_abi, serving
from lamplighter.lammps_interface.convert import convert
from lamplighter.lammps_interface.mliap import MliapModel
from lamplighter.lammps_interface.native import native_members
from lamplighter.model import load_potential, save_potential
from lamplighter.model.compiled import DevicePotential
from lamplighter.model.compiled.library import ABI_VERSION

ROUNDING = {"float64": 1e-12, "float32": 3e-6}


@pytest.fixture(scope="module")
def both(model, structures, evaluate, tmp_path_factory):
    """All structures, through Python and without it, by dtype and number of ranks."""
    found = {}

    def run(dtype, ranks):
        key = dtype, ranks
        if key not in found:
            file, answers = model.compiled(dtype), []
            for word in ("no", "yes"):
                folder = tmp_path_factory.mktemp("native")
                pair = f"pair_style mliap unified {file} 0 native {word}"
                settings = {"pair": f"{pair}\npair_coeff * * Mg O", "ranks": ranks}
                answers.append(evaluate(structures, file, folder, **settings))
            found[key] = answers
        return found[key]

    return run


def assert_same(found, wanted, within):
    """All numbers agree, relative to the largest of their kind or to 1."""
    assert found.keys() == wanted.keys()
    for name, one in found.items():
        for field in ("energy", "energies", "forces", "stress", "atom_stresses"):
            a, b = (np.asarray(getattr(x, field)) for x in (one, wanted[name]))
            size = max(1.0, np.abs(b).max(initial=0.0))
            assert np.abs(a - b).max(initial=0.0) <= within * size, (name, field)


CASES = [
    pytest.param("float64", 1),
    pytest.param("float32", 1, marks=pytest.mark.slow),
    pytest.param("float64", 2, marks=[pytest.mark.slow, pytest.mark.mpi]),
    pytest.param("float32", 2, marks=[pytest.mark.slow, pytest.mark.mpi]),
]


@pytest.mark.parametrize(("dtype", "ranks"), CASES)
def test_numbers_are_those_of_python(both, dtype, ranks):
    """Rattled, tilted and rotated cells, slabs, lone atoms, ranks without atoms."""
    through, native = both(dtype, ranks)
    assert_same(native, through, ROUNDING[dtype])
    assert ", native" in native["rattled"].output
    assert ", native" not in through["rattled"].output
    assert np.abs(native["rattled"].forces).max() > 0.1


START = """
clear
units {units}
atom_modify map array
newton on
read_data a.data
"""
MODEL = "mliap unified {file} 0 native {word}"
PLAIN = f"pair_style {MODEL}\npair_coeff * * Mg O O\n"
END = """
compute s all stress/atom NULL virial
{more}
thermo_style custom step pe press
run {steps}
write_dump all custom {name}_{word}.dump id x y z fx fy fz c_s[*] {columns} &
  modify sort id format float %.17g
print "{name}: $(pe:%.17g) $(press:%.17g)"
"""
PARTS = "fix p all pair 1 mliap {names}"
CENTROID = "compute c all centroid/stress/atom NULL virial"
TWO = f"""pair_style hybrid/overlay {MODEL} mliap/unified {{other}} 0 native {{word}}
pair_coeff * * mliap Mg O O
pair_coeff * * mliap/unified Mg O O
"""
NULL = f"""pair_style hybrid/overlay {MODEL} zero 4.0
pair_coeff * * mliap Mg O NULL
pair_coeff * * zero
"""
SECTIONS = {
    "real": (PLAIN, {"units": "real"}),
    "null": (NULL, {}),
    "hidden": (
        PLAIN + "group g id 2 3 7\nneigh_modify exclude group g all\n",
        {},
    ),
    "rebuilds": (
        PLAIN + "neigh_modify every 1 delay 0 check yes\nneighbor 0.02 bin\n"
        "velocity all create 300 7\nfix 1 all nve\ntimestep 0.0001\n",
        {"steps": 25},
    ),
    "parts": (
        PLAIN,
        {
            "more": PARTS.format(names="reference 0 interaction 0"),
            "columns": "f_p[*]",
        },
    ),
    "python_parts": (
        PLAIN,
        {
            "more": PARTS.format(names="interaction 1 repulsion 1"),
            "columns": "f_p[*]",
        },
    ),
    "centroid": (PLAIN, {"more": CENTROID, "columns": "c_c[*]"}),
    "two": (TWO, {}),
    "committee": (PLAIN.replace("{file}", "{committee}"), {}),
    "checked": (PLAIN.replace("native", "check 1 native"), {}),
    "again": (
        PLAIN + "run 0\nwrite_restart again.bin\nclear\nread_restart again.bin\n",
        {},
    ),
    "rerun": (
        PLAIN + "write_dump all custom r.dump id type x y z modify format float %.17g\n"
        "rerun r.dump dump x y z\n",
        {},
    ),
}


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    """A file, another in float32, and a committee."""
    folder = tmp_path_factory.mktemp("committee")
    other = load_potential(model.path)
    with torch.no_grad():
        other.embedding.mul_(1.1)
    save_potential(other, folder / "b.safetensors", provenance={})
    members = [model.path, folder / "b.safetensors"]
    committee = convert(members, "pbe", ["Mg", "O"], folder / "two.pt")
    return {
        "file": model.compiled64,
        "other": model.compiled32,
        "committee": committee,
    }


@pytest.fixture(scope="module")
def sections(files, lmp_in, tmp_path_factory):
    """Every section, through Python and without it, in one `lmp` on two ranks."""
    folder = tmp_path_factory.mktemp("sections")
    atoms = bulk("MgO", "rocksalt", a=4.25, cubic=True) * (2, 1, 1)
    atoms.rattle(0.08, seed=3)
    atoms.symbols[[3, 9]] = "H"  # the third type
    write_lammps_data(folder / "a.data", atoms, specorder=["Mg", "O", "H"], masses=True)
    script = ""
    for name, (commands, given) in SECTIONS.items():
        for word in ("no", "yes"):
            fill = {"units": "metal", "steps": 0, "more": "", "columns": ""} | given
            text = START + commands + END
            script += text.format(name=name, word=word, **fill, **files)
    return folder, lmp_in(folder, script, ranks=2)


@pytest.mark.mpi
@pytest.mark.parametrize("name", SECTIONS)
def test_what_a_script_can_ask_for(sections, name):
    folder, outcome = sections
    assert outcome.status == 0, outcome.text[-3000:]
    dumps = [
        np.loadtxt(folder / f"{name}_{word}.dump", skiprows=9) for word in ("yes", "no")
    ]
    within = 1e-10 if name == "rebuilds" else 1e-12
    if name == "two":  # one of them is float32
        within = 1e-6
    for a, b in zip(*(dump.T for dump in dumps), strict=True):
        assert np.abs(a - b).max() <= within * max(1.0, np.abs(b).max())
    through, native = outcome.numbers(name)
    np.testing.assert_allclose(native, through, rtol=100 * within)
    assert np.abs(dumps[0][:, 4:7]).max() > 0.1


@pytest.mark.mpi
def test_the_parity_check_accepts_both(sections):
    _, outcome = sections
    lines = [x for x in outcome.text.splitlines() if "parity" in x.lower()]
    assert len(lines) == 2, outcome.text[-3000:]


@pytest.mark.mpi
def test_one_rank_that_fails_ends_all(files, lmp_in, tmp_path):
    """The two atoms that nearly coincide belong to one rank of two."""
    atoms = bulk("MgO", "rocksalt", a=4.25, cubic=True) * (2, 1, 1)
    atoms.positions[1] = atoms.positions[0] + 0.005
    write_lammps_data(
        tmp_path / "a.data", atoms, specorder=["Mg", "O", "H"], masses=True
    )
    script = (START + PLAIN + "run 0\n").format(units="metal", word="yes", **files)
    outcome = lmp_in(tmp_path, script, ranks=2, timeout=60)
    assert outcome.status != 0
    assert "on rank 0: the compiled potential stopped: two atoms are" in outcome.text


def why_not(model, **changes):
    settings = {"compiled_version": ABI_VERSION, "ghostneigh": False, "shared": False}
    with pytest.raises(ConfigError, match="native yes: the pair style cannot") as error:
        native_members(model, required=True, **settings | changes)
    assert native_members(model, required=False, **settings | changes) is None
    return str(error.value)


def test_what_cannot_do_without_python(model):
    content = bundle.read(model.compiled64)
    fast = MliapModel(content)
    assert "FLAG 1" in why_not(fast, ghostneigh=True)
    assert "version 77" in why_not(fast, compiled_version=77)
    assert "an object of this process" in why_not(fast, shared=True)
    assert "no compiled" in why_not(MliapModel(content, backend="reference"))
    plain = MliapModel(bundle.read(model.float64))
    assert "no compiled potential: the file has no tables" in why_not(plain)
    fast.compiled = tuple(DevicePotential(one, "cpu") for one in fast.compiled)
    assert "device cpu" in why_not(fast)


@pytest.fixture
def opened(monkeypatch):
    monkeypatch.setattr(loading, "_registered", {})
    monkeypatch.setattr(serving, "_open", {})

    def open_model(path, words=""):
        request = pair_abi.Open(
            version=pair_abi.ABI_VERSION,
            path=os.fsencode(path),
            keywords=words.encode(),
            compiled_version=ABI_VERSION,
        )
        return request, serving.serve("open", ctypes.addressof(request))

    return open_model


def test_opening_hands_over_the_compiled_potential(model, opened):
    request, problem = opened(model.compiled64)
    assert problem == ""
    assert request.n_members == 1
    member = request.members[0]
    assert (member.n_layers, member.item_bytes) == (2, 8)
    elements = request.elements.decode().split()
    known = dict(
        zip(
            elements,
            np.ctypeslib.as_array(
                ctypes.cast(member.baseline, ctypes.POINTER(ctypes.c_double)), (2,)
            ),
            strict=True,
        )
    )
    assert known == {"O": -432.1, "Mg": -23.25}
    assert request.note.decode().endswith(", native")
    request, _ = opened(model.compiled64, "native no")
    assert request.n_members == 0
    assert not request.note.decode().endswith(", native")
    assert "cannot evaluate this without" in opened(model.float64, "native yes")[1]


def test_registered_objects_are_shared(model, opened):
    loading.register(MliapModel(bundle.read(model.compiled64)))
    assert opened("EXISTS")[0].n_members == 0
    assert "an object of this process" in opened("EXISTS", "native yes")[1]


def test_threads_are_those_of_lammps(model, monkeypatch):
    """Without OMP_NUM_THREADS a rank has one, also in its compiled potential."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        fast = MliapModel(bundle.read(model.compiled64))
        assert [one.threads for one in fast.compiled] == [1]
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("word", ["no", "yes"])
def test_deterministic_is_handed_to_what_evaluates(model, opened, word):
    """With it the compiled potential of the pair style knows of it, without it not."""
    before = torch.are_deterministic_algorithms_enabled()
    try:
        request, problem = opened(model.compiled64, f"deterministic {word}")
        asked = torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(before)
    assert problem == ""
    kept = serving._open[request.handle].model
    assert asked == (word == "yes")
    assert [one.deterministic for one in kept.compiled] == [word == "yes"]


def test_bits_in_lammps_do_not_depend_on_threads(
    model, structures, evaluate, tmp_path, monkeypatch
):
    name = next(iter(structures))
    atoms = {name: structures[name] * (3, 3, 3)}
    pair = f"pair_style mliap unified {model.compiled64} 0 deterministic yes"
    found = []
    for threads in (1, 3):
        monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
        folder = tmp_path / str(threads)
        folder.mkdir()
        settings = {"pair": f"{pair}\npair_coeff * * Mg O"}
        found.append(evaluate(atoms, model.compiled64, folder, **settings)[name])
    one, three = found
    assert np.abs(one.forces).max() > 0.0
    np.testing.assert_array_equal(one.forces, three.forces)
    np.testing.assert_array_equal(one.energies, three.energies)
