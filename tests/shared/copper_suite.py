"""A suite of one copper atom and two EMT engines: seconds, without torch."""

from pathlib import Path

from ase.build import bulk

SUITE = """\
engines:
  - {kind: ase, name: one, calculator: "ase.calculators.emt:EMT"}
  - {kind: ase, name: two, calculator: "ase.calculators.emt:EMT"}
materials: [{name: Cu, structure: cu.xyz}]
properties: {parity: {directions: 0, invariances: false}, bulk: {points: 7}}
level_of_theory: PBE
"""


def write_suite(folder: Path, text: str = SUITE) -> Path:
    """Write the suite and its crystal; return the file of the suite."""
    folder.mkdir(parents=True, exist_ok=True)
    bulk("Cu", a=3.6).write(folder / "cu.xyz", format="extxyz")
    (folder / "suite.yaml").write_text(text)
    return folder / "suite.yaml"


def contents(folder: Path) -> dict[str, bytes]:
    """Return name -> bytes of the results of a run."""
    return {p.name: p.read_bytes() for p in sorted((folder / "results").iterdir())}
