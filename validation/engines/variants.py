"""The same LAMMPS interaction run another way: ranks, grids, newton, dynamics, restart.

None of this may change a number. What an engine that is not LAMMPS cannot do, and what
a pair style forbids, is told with a reason.
"""

from __future__ import annotations

import dataclasses
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ase import Atoms

from lamplighter.errors import EngineError
from lamplighter.validation.engines.base import Engine, Result, check_finite
from lamplighter.validation.engines.cache import CachedEngine
from lamplighter.validation.engines.command import command_words, probe, with_ranks
from lamplighter.validation.engines.lammps_base import LammpsBase
from lamplighter.validation.engines.lammps_file import LammpsFileEngine, run_input
from lamplighter.validation.engines.lammps_input import (
    ANSWER,
    UNITS,
    Job,
    Raw,
    data_text,
    interaction,
    job_of,
    opening,
    read_answer,
    result_of,
    single_point,
)
from lamplighter.validation.engines.pair_style import PairStyle

STEPS: Final = 10
TEMPERATURE: Final = 300.0
STEP_FS: Final = 0.5
_SEED: Final = 4928459


@dataclass(frozen=True, slots=True, kw_only=True)
class Lammps:
    """What it takes to run an engine's interaction another way.

    Attributes:
        style: the interaction.
        words: what starts LAMMPS as the engine starts it.
        own: whether the command line is that of this environment, not the user's.
        ranks: MPI ranks of the engine.
    """

    style: PairStyle
    words: tuple[str, ...]
    own: bool
    ranks: int = 1

    def variant(
        self, *preamble: str, ranks: int | None = None, skin: float | None = None
    ) -> LammpsFileEngine:
        """Return an engine with more lines before the box, other ranks, or a wide skin.

        Raises:
            VariantError: If the number of ranks of the command cannot be changed, or
                LAMMPS does not start as many.
        """
        style = dataclasses.replace(
            self.style,
            preamble=(*self.style.preamble, *preamble),
            skin=self.style.skin if skin is None else skin,
        )
        return self._engine(style, self.ranks if ranks is None else ranks)

    def with_style(self, style: PairStyle) -> LammpsFileEngine:
        """Return an engine of another interaction, started the same way."""
        return self._engine(style, self.ranks)

    def _engine(self, style: PairStyle, ranks: int) -> LammpsFileEngine:
        try:
            words = self._started_with(ranks)
            # What has no MPI starts as often as it is told to, on one rank each.
            found = ranks if ranks == self.ranks else probe(words)[1]
        except EngineError as error:
            raise VariantError(reason=str(error)) from error
        if found != ranks:
            raise VariantError(
                reason=f"{shlex.join(words)} starts LAMMPS on {found} ranks"
            )
        if self.own:
            return LammpsFileEngine(style, ranks=ranks)
        return LammpsFileEngine(style, command=words)

    def _started_with(self, ranks: int) -> Sequence[str]:
        if self.own:
            return command_words(None, ranks)
        if ranks == self.ranks:
            return self.words
        words = with_ranks(self.words, ranks)
        if words is None:
            raise VariantError(
                reason="its command line has no number of ranks that could be changed, "
                f"as in mpirun -n 4: {shlex.join(self.words)}"
            )
        return words


class VariantError(Exception):
    """This engine cannot be run that way, or the structure is not one for it."""

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason)


def lammps_of(engine: Engine) -> Lammps | None:
    """Return how to run an engine's interaction another way, ``None`` if not LAMMPS."""
    inner = engine.inner if isinstance(engine, CachedEngine) else engine
    if not isinstance(inner, LammpsBase):
        return None
    own = inner.command is None
    words = command_words(inner.command, inner.ranks)
    return Lammps(
        style=inner.style, words=tuple(words), own=own, ranks=inner.info.ranks
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """A structure after some steps of dynamics, reached in several ways.

    Attributes:
        atoms: the structure at the end, in the axes of the input.
        moved: its results as LAMMPS has them in the run, lists reused where allowed.
        reneighboured: the same, neighbour lists built anew at every step.
        restarted: the same, interrupted half-way and read from a restart file.
    """

    atoms: Atoms
    moved: Result
    reneighboured: Result
    restarted: Result


def life(lammps: Lammps, atoms: Atoms, *, timeout_s: float = 600.0) -> Life:
    """Run ten steps at constant energy from 300 K, in three ways.

    Args:
        lammps: the interaction and what starts it.
        atoms: a structure that is periodic in three directions.
        timeout_s: seconds that the three runs may take together.

    Raises:
        EngineError: LAMMPS stops, or a number is not finite.
    """
    style = lammps.style
    job = job_of(atoms, style)
    ways = ("moved", "reneighboured", "restarted")
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as name:
        folder = Path(name)
        (folder / "start.data").write_text(data_text(job, style), encoding="ascii")
        text = "\n".join(line for way in ways for line in _way(way, job, style)) + "\n"
        outcome = run_input(lammps.words, text, folder, timeout_s=timeout_s)
        if not outcome.ok:
            raise outcome.error(wanted=f"{STEPS} steps of dynamics and a restart")
        raws = [_read(folder, way, len(atoms)) for way in ways]
    want = ("energy", "forces", "stress", "energies")
    moved, reneighboured, restarted = (
        check_finite(result_of(job, raw, style, want, 0.0), atoms) for raw in raws
    )
    placement = job.placement
    final = atoms.copy()
    final.set_constraint()
    final.set_cell(placement.box @ placement.rotation.T, scale_atoms=False)
    final.set_positions(raws[0].table[:, 5:8] @ placement.rotation.T)
    return Life(
        atoms=final, moved=moved, reneighboured=reneighboured, restarted=restarted
    )


def _way(way: str, job: Job, style: PairStyle) -> list[str]:
    """Return the lines of one of the three runs."""
    step = STEP_FS * UNITS[style.units].femtosecond
    output = f"{way}.dump"
    go = [
        "fix move all nve",
        f"timestep {step:.17g}",
        f"velocity all create {TEMPERATURE} {_SEED} loop geom",
    ]
    end = [
        *single_point(output, per_atom=True, extra=" x y z"),
        f'print "{ANSWER}" file {way}.txt screen no',
    ]
    run = end.index("run 0 post no")
    lines = [*opening(style, job.placement.periodic), "read_data start.data"]
    # A wide skin and no check: the list of step 0 serves all steps. Nothing moves
    # as far as half of it in five femtoseconds.
    often = "every 1 delay 0 check no" if way == "reneighboured" else "delay 1000"
    lines += [*interaction(style, skin=1.0), f"neigh_modify {often}", *go]
    if way == "restarted":
        half = STEPS // 2
        lines += [f"run {half} post no", "write_restart half.restart"]
        lines += opening(style, job.placement.periodic)
        lines += ["read_restart half.restart", *interaction(style, skin=1.0), *go[:2]]
        end[run] = f"run {STEPS - half} post no"
    else:
        end[run] = f"run {STEPS} post no"
    return lines + end


def _read(folder: Path, way: str, n_atoms: int) -> Raw:
    words = (folder / f"{way}.txt").read_text(encoding="ascii").split()
    return read_answer(words, folder / f"{way}.dump", n_atoms)
