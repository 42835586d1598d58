"""The labelled files of this folder: head, level, structures and role of each.

Everything that differs between the files stands in `DATASETS`; the labellers, the
driver, the publisher and the tests read it from here.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ase import Atoms
from ase.io import read

GENERATE = Path(__file__).resolve().parent
STRUCTURES = GENERATE / "structures"
PUBLISHED = GENERATE.parent

ALWAYS_TAKEN = ("IsolatedAtom", "dimer")
"""Configuration types that thinning with `every` never drops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One labelled file.

    Attributes:
        name: File name without `.xyz.gz`.
        head: Value of the `head` key.
        method: First argument of the labeller.
        level: Value of the `level` key.
        code: Value of the `code` key.
        structures: Name of the structure file, without `.xyz`.
        uid_lists: Names of uid lists that select from it; empty selects all.
        every: Take every n-th structure only (atoms and dimers always).
        max_atoms: Largest structure taken; None takes all.
        role: What the file is for.
        contents: One line on what it holds.
    """

    name: str
    head: str
    method: str
    level: str
    code: str
    structures: str
    uid_lists: tuple[str, ...] = ()
    every: int = 1
    max_atoms: int | None = None
    role: Literal["train", "test", "demo"]
    contents: str

    def __post_init__(self) -> None:
        """Refuse a thinning that takes nothing.

        Raises:
            ValueError: `every` is below one.
        """
        if self.every < 1:
            message = f"{self.name}: every is {self.every}, wanted 1 or more"
            raise ValueError(message)

    @property
    def periodic(self) -> bool:
        """Whether the periodic code labels it."""
        return self.code.startswith("GPAW")


GPAW = "GPAW-26.7.0"
PYSCF = "PySCF-2.14.0"

DATASETS = (
    Dataset(
        name="crystal_pbe",
        head="pbe",
        method="pbe",
        level="PBE",
        code=GPAW,
        structures="crystal",
        role="train",
        contents="crystals of Mg, O, H, C (MgO B1/B2/B3/B4, vacancies, Mg, brucite, "
        "MgH2, magnesite, ice, diamond, CO2), dimers, atoms",
    ),
    Dataset(
        name="crystal_r2scan",
        head="r2scan",
        method="r2scan",
        level="r2SCAN",
        code=GPAW,
        structures="crystal",
        uid_lists=("crystal_r2scan", "crystal_r2scan_box"),
        role="train",
        contents="some of the same geometries (same uid), to compare the two levels",
    ),
    Dataset(
        name="crystal_pbesol",
        head="pbesol",
        method="pbesol",
        level="PBEsol",
        code=GPAW,
        structures="crystal",
        uid_lists=("crystal_pbesol",),
        role="demo",
        contents="rocksalt MgO and the atoms (same uid): the small new set that the "
        "demo post-trains on",
    ),
    Dataset(
        name="slab_pbe",
        head="pbe",
        method="pbe",
        level="PBE",
        code=GPAW,
        structures="slab",
        uid_lists=("slab_thin",),
        role="train",
        contents="clean MgO(100), one formula unit per layer, two to four layers on "
        "the way to relaxation at the PBE lattice constant; no stress",
    ),
    Dataset(
        name="slab_pbe_thick",
        head="pbe",
        method="pbe",
        level="PBE",
        code=GPAW,
        structures="slab",
        uid_lists=("slab_thick",),
        role="test",
        contents="the same surface with five layers: a thickness that training "
        "never saw",
    ),
    Dataset(
        name="surface_rpbe",
        head="rpbe",
        method="rpbe",
        level="RPBE",
        code=GPAW,
        structures="surface",
        role="train",
        contents="MgO(100) slabs, bare and with H2O, CO, CO2, H2, CH4, OH+H; gas "
        "molecules, atoms",
    ),
    Dataset(
        name="mol_wb97mv",
        head="wb97m-v",
        method="wb97m-v",
        level="wb97m-v/def2-tzvpd",
        code=PYSCF,
        structures="mol",
        role="train",
        contents="molecules, radicals, clusters, small Mg molecules, dimers, atoms",
    ),
    Dataset(
        name="react_b3lyp",
        head="b3lyp-d3bj",
        method="b3lyp-d3bj",
        level="b3lyp-d3bj/def2-tzvp",
        code=PYSCF,
        structures="react",
        role="train",
        contents="reaction paths of C, H, O molecules, spin-polarised; atoms",
    ),
    Dataset(
        name="surface_pbe",
        head="pbe",
        method="pbe",
        level="PBE",
        code=GPAW,
        structures="surface",
        uid_lists=("surface_pbe",),
        role="test",
        contents="some of the surface geometries (same uid): does the PBE head know "
        "surfaces it never saw?",
    ),
    Dataset(
        name="react_wb97mv",
        head="wb97m-v",
        method="wb97m-v",
        level="wb97m-v/def2-tzvpd",
        code=PYSCF,
        structures="react",
        every=6,
        max_atoms=6,
        role="test",
        contents="every sixth reaction geometry of up to six atoms (same uid): does "
        "the molecular head know reaction paths?",
    ),
    Dataset(
        name="reference_pbe",
        head="pbe",
        method="pbe",
        level="PBE",
        code=GPAW,
        structures="reference",
        role="test",
        contents="cells around the minimum of Mg, brucite, ice and the water molecule: "
        "the reference values of the validation",
    ),
    Dataset(
        name="reference_wb97mv",
        head="wb97m-v",
        method="wb97m-v",
        level="wb97m-v/def2-tzvpd",
        code=PYSCF,
        structures="reference_mol",
        role="test",
        contents="the relaxed water molecule and the relaxed water dimer: the "
        "reference of its binding",
    ),
)


def dataset_named(name: str) -> Dataset:
    """The entry of the catalogue with this name.

    Raises:
        ValueError: The catalogue has no such entry.
    """
    for dataset in DATASETS:
        if dataset.name == name:
            return dataset
    known = ", ".join(dataset.name for dataset in DATASETS)
    message = f"unknown data set {name!r}; known: {known}"
    raise ValueError(message)


def read_uids(path: Path) -> frozenset[str]:
    """The uids of a list file, one or more per line."""
    return frozenset(path.read_text().split())


def select_structures(
    structures: Sequence[Atoms],
    *,
    uids: frozenset[str] | None = None,
    every: int = 1,
    max_atoms: int | None = None,
) -> list[Atoms]:
    """The structures to label, in the order of the file.

    Args:
        structures: All structures of a structure file.
        uids: Take only these; None takes all.
        every: Take every n-th, counted over the whole file; the types of
            `ALWAYS_TAKEN` are taken whatever their place.
        max_atoms: Largest structure to take; None sets no limit.
    """
    return [
        atoms
        for index, atoms in enumerate(structures)
        if (uids is None or atoms.info["uid"] in uids)
        and (max_atoms is None or len(atoms) <= max_atoms)
        and (index % every == 0 or atoms.info["config_type"] in ALWAYS_TAKEN)
    ]


@functools.cache
def _structure_file(name: str) -> tuple[Atoms, ...]:
    """A structure file, read once."""
    return tuple(read(STRUCTURES / f"{name}.xyz", ":"))


def known_structures(dataset: Dataset) -> tuple[Atoms, ...]:
    """All structures of the file that a data set draws from; not to be changed."""
    return _structure_file(dataset.structures)


def structures_of(dataset: Dataset) -> list[Atoms]:
    """The structures that a data set asks labels for, in the order of the file."""
    uids = None
    if dataset.uid_lists:
        lists = [read_uids(STRUCTURES / f"{name}.uids") for name in dataset.uid_lists]
        uids = frozenset[str]().union(*lists)
    return select_structures(
        known_structures(dataset),
        uids=uids,
        every=dataset.every,
        max_atoms=dataset.max_atoms,
    )
