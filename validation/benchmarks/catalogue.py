"""The fifteen benchmarks: protocols, versions, and what scores 1 and 0."""

from __future__ import annotations

from typing import Final

from lamplighter.validation.benchmarks.protocol import Metric, Protocol
from lamplighter.validation.yaml_values import known

_REACTIONS: Final = "reactions.csv (name, reference, terms) and the files it names"
_GROUPS: Final = "reactions.csv (name, group, reference, terms) and the files it names"


def _mae(unit: str, good: float, bad: float) -> tuple[Metric, ...]:
    return (Metric(name="mae", unit=unit, good=good, bad=bad),)


def _errors(names: str, unit: str, good: float, bad: float) -> tuple[Metric, ...]:
    return tuple(
        Metric(name=name, unit=unit, good=good, bad=bad) for name in names.split()
    )


_ALL: Final = (
    Protocol(
        name="phonons",
        number=1,
        title="Phonons",
        domain="materials",
        version="1",
        reference="PBE, PBE+U",
        text="atoms relaxed at the reference's cell (0.005 eV/Å), its displacements and"
        " supercells, 6 x 6 x 6 mesh, 300 K on 20 x 20 x 20",
        metrics=(
            *_errors("highest mean lowest", "K", 0, 50),
            *_errors("entropy heat", "J/K/mol", 0, 50),
            *_errors("free_energy", "kJ/mol", 0, 50),
            Metric(name="stability_f1", unit="", good=1, bad=0),
        ),
        measure="phonons:phonons",
        needs="crystals.csv (name, file) and one phonopy file a crystal",
    ),
    Protocol(
        name="elasticity",
        number=2,
        title="Elasticity",
        domain="materials",
        version="lamplighter-1",
        reference="PBE",
        text="relaxed ions, strains of 0.25 and 0.5 % extrapolated, Hill averages;"
        " references between 0 and 500 GPa",
        metrics=_errors("bulk_mae shear_mae", "GPa", 2, 30),
        measure="crystals:elasticity",
        needs="crystals.csv (name, file, bulk_modulus, shear_modulus) and its files",
    ),
    Protocol(
        name="conductivity",
        number=3,
        title="Thermal conductivity",
        domain="materials",
        version="lamplighter-1",
        reference="PBE, relaxation time",
        text="cell and atoms relaxed; displacements of 0.03 Å in the reference's"
        " supercells; relaxation times on its mesh at 300 K; symmetric relative mean"
        " error of the modes' conductivities, 2 for a crystal with imaginary modes",
        metrics=(Metric(name="srme", unit="", good=0, bad=2),),
        measure="conductivity:conductivity",
        needs="crystals.csv (name, file, modes, supercell, phonon_supercell) and its"
        " files",
    ),
    Protocol(
        name="lattice-constants",
        number=4,
        title="Lattice constants",
        domain="materials",
        version="1",
        reference="experiment, or PBE-D3",
        text="cell and atoms relaxed within the space group",
        metrics=_mae("Å", 0, 0.2),
        measure="crystals:lattice_constants",
        needs="crystals.csv (name, file, lattice_constant) and the files it names",
    ),
    Protocol(
        name="x23",
        number=5,
        title="X23",
        domain="molecular crystals",
        version="1",
        reference="diffusion Monte Carlo",
        text="single points: crystal per molecule - molecule",
        metrics=_mae("kJ/mol", 0, 100),
        measure="reactions:x23",
        needs=_REACTIONS,
    ),
    Protocol(
        name="dmc-ice13",
        number=6,
        title="DMC-ICE13",
        domain="molecular crystals",
        version="1",
        reference="diffusion Monte Carlo, or PBE-D3",
        text="single points: ice per molecule - molecule",
        metrics=_mae("meV", 0, 100),
        measure="reactions:dmc_ice13",
        needs=_REACTIONS,
    ),
    Protocol(
        name="gmtkn55",
        number=7,
        title="GMTKN55",
        domain="molecules",
        version="1",
        reference="CCSD(T)",
        text="neutral singlets; subsets weighted by the mean size of their energies",
        metrics=(Metric(name="wtmad", unit="kcal/mol", good=0.5, bad=50),),
        measure="reactions:gmtkn55",
        needs=_GROUPS,
    ),
    Protocol(
        name="wiggle150",
        number=8,
        title="Wiggle150",
        domain="molecules",
        version="1",
        reference="DLPNO-CCSD(T)/CBS",
        text="strained conformers against the minimum of their molecule",
        metrics=_mae("kcal/mol", 1, 10),
        measure="reactions:wiggle150",
        needs=_REACTIONS,
    ),
    Protocol(
        name="s30l",
        number=9,
        title="S30L",
        domain="molecules",
        version="1",
        reference="DLPNO-CCSD(T)",
        text="complex - host - guest",
        metrics=_mae("kcal/mol", 2.4, 20),
        measure="reactions:s30l",
        needs=_REACTIONS,
    ),
    Protocol(
        name="plf547",
        number=10,
        title="PLF547",
        domain="molecules",
        version="1",
        reference="CCSD(T) family",
        text="interaction energies of protein fragments and ligands",
        metrics=_mae("kcal/mol", 0.5, 50),
        measure="reactions:plf547",
        needs=_REACTIONS,
    ),
    Protocol(
        name="s24",
        number=11,
        title="S24",
        domain="surfaces",
        version="1",
        reference="PBE-D3(BJ)",
        text="adsorption energies: surface with adsorbate - surface - molecule",
        metrics=_mae("eV", 0.05, 0.5),
        measure="reactions:s24",
        needs=_REACTIONS,
    ),
    Protocol(
        name="oc157",
        number=12,
        title="OC157",
        domain="surfaces",
        version="1",
        reference="PBE-D3(BJ)",
        text="energies between three configurations of 157 surfaces, and their order",
        metrics=(
            *_mae("eV", 0, 1),
            Metric(name="ranking", unit="wrong pairs", good=0, bad=1),
        ),
        measure="reactions:oc157",
        needs=_GROUPS,
    ),
    Protocol(
        name="diatomics",
        number=13,
        title="Diatomics",
        domain="physicality",
        version="1",
        reference="none",
        text="pairs of all elements from 0.9 covalent radii to 6 Å in steps of 0.01 Å",
        metrics=(
            *_errors("force_flips minima inflections", "", 1, 5),
            Metric(name="repulsion", unit="", good=-1, bad=1),
            Metric(name="attraction", unit="", good=1, bad=-1),
        ),
        measure="physicality:diatomics",
    ),
    Protocol(
        name="extensivity",
        number=14,
        title="Extensivity",
        domain="physicality",
        version="1",
        reference="none",
        text="slabs of Al(111) and Ni(111), 8 layers of 4 x 4, 100 Å apart",
        metrics=(Metric(name="energy", unit="meV", good=0, bad=10),),
        measure="physicality:extensivity",
    ),
    Protocol(
        name="locality",
        number=15,
        title="Locality",
        domain="physicality",
        version="1",
        reference="none",
        text="forces in acetone with 20 Ne beyond 40 Å, and with one H at 20 to 50 Å in"
        " 30 places",
        metrics=_errors("cloud single", "meV/Å", 0, 5),
        measure="physicality:locality",
    ),
)

CATALOGUE: Final[dict[str, Protocol]] = {protocol.name: protocol for protocol in _ALL}
"""Name -> protocol, in the order of the paper."""


def benchmark(name: str) -> Protocol:
    """Return a benchmark by its name.

    Raises:
        ConfigError: there is no such benchmark.
    """
    known(name, CATALOGUE, "benchmarks")
    return CATALOGUE[name]
