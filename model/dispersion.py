"""Grimme's D3 dispersion, where the labels of a head need it and lack it.

A head says in its `dispersion` what its labels contain: ``"included"``, ``"none"``, or
the rule to add, ``"d3bj:pbe"``. Nothing is ever added to a head that does not ask, so
that dispersion cannot be counted twice. The numbers come from torch-dftd
(``lamplighter[dispersion]``), without the three-body term and with both radii, of pairs
and of coordination numbers, 40 Bohr, as the published benchmarks have it.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.units import Bohr
from torch import Tensor

from lamplighter.errors import ConfigError, OptionalDependencyError, explain
from lamplighter.model.config import PotentialConfig
from lamplighter.model.evaluation import Evaluation
from lamplighter.model.neighbors import neighbor_pairs

D3_CUTOFF = 40.0 * Bohr
"""Radius of pairs and of coordination numbers, Å."""

_DAMPINGS = {"d3bj": "bj", "d3zero": "zero", "d3bjm": "bjm", "d3zerom": "zerom"}
# Grimme's program writes some functionals in its own way.
_SPELLINGS = {"b3lyp": "b3-lyp", "blyp": "b-lyp", "bp86": "b-p", "b97d": "b97-d"}
_HEAVIEST = 94


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class D3Rule:
    """A rule such as ``"d3bj:pbe"``.

    Attributes:
        damping: ``"bj"``, ``"zero"``, ``"bjm"`` or ``"zerom"``.
        functional: as torch-dftd spells it.
    """

    damping: str
    functional: str

    @classmethod
    def parse(cls, text: str) -> D3Rule:
        """Return the rule of a head.

        Raises:
            ConfigError: not of the form ``DAMPING:FUNCTIONAL``.
        """
        damping, _, functional = text.lower().partition(":")
        if damping not in _DAMPINGS or not functional:
            raise ConfigError(
                explain(
                    "unknown rule for dispersion",
                    got=repr(text),
                    wanted="one of "
                    + ", ".join(_DAMPINGS)
                    + ", a colon and a functional, as in d3bj:pbe",
                )
            )
        name = _SPELLINGS.get(functional, functional)
        return cls(damping=_DAMPINGS[damping], functional=name)


class D3:
    """The dispersion energy of one functional."""

    def __init__(self, rule: D3Rule, like: Tensor) -> None:
        """Create it with the dtype and device of `like`.

        Raises:
            OptionalDependencyError: torch-dftd is not installed.
            ConfigError: there are no parameters for the functional.
        """
        make, parameters = _torch_dftd()
        try:
            numbers = parameters(rule.damping, rule.functional)
        except ValueError as error:
            raise ConfigError(
                explain(
                    f"no D3 parameters for {rule.functional!r}",
                    got=f"damping {rule.damping!r}",
                    wanted="a functional that torch-dftd knows",
                )
            ) from error
        self.rule = rule
        self._like = like.detach()
        self._module: Any = make(
            numbers,
            cutoff=D3_CUTOFF,
            cnthr=D3_CUTOFF,
            dtype=like.dtype,
            bidirectional=True,
        ).to(like.device)

    def atomic_energies(
        self, numbers: Tensor, centers: Tensor, neighbors: Tensor, vectors: Tensor
    ) -> Tensor:
        """Return half the energy of the pairs of each atom, ``[n_atoms]``, eV.

        Args:
            numbers: ``[n_atoms]``, atomic numbers.
            centers: ``[n_pairs]``.
            neighbors: ``[n_pairs]``.
            vectors: ``[n_pairs, 3]``, from centre to neighbour, Å; differentiable.
        """
        n_atoms = len(numbers)
        energies: Tensor = self._module.calc_energy_batch(
            numbers,
            # all atoms at the origin: the vectors alone give the distances
            vectors.new_zeros(n_atoms, 3),
            torch.stack([centers, neighbors]),
            # every atom counts as a structure of its own, which collects its pairs
            cell=vectors.new_zeros(n_atoms, 3, 3),
            shift_pos=vectors,
            batch=torch.arange(n_atoms, device=vectors.device),
            batch_edge=centers,
            damping=self.rule.damping,
        )
        return energies

    def pairs(self, atoms: Atoms) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return numbers, centres, neighbours and vectors of a structure.

        Raises:
            ConfigError: an element without parameters.
            DataError: a structure that has no neighbour list.
        """
        if np.any((atoms.numbers > _HEAVIEST) | (atoms.numbers < 1)):
            raise ConfigError(
                explain(
                    "D3 does not know an element",
                    got=atoms.get_chemical_formula(),
                    wanted="elements from H to Pu",
                )
            )
        device = self._like.device
        i, j, vectors = neighbor_pairs(atoms, D3_CUTOFF)
        return (
            torch.tensor(atoms.numbers, dtype=torch.int64, device=device),
            torch.from_numpy(i).to(device),
            torch.from_numpy(j).to(device),
            torch.from_numpy(vectors).to(self._like),
        )

    def evaluate(self, atoms: Atoms, *, differentiate: bool = True) -> Evaluation:
        """Return the dispersion part of energy, forces and stress."""
        numbers, i, j, vectors = self.pairs(atoms)
        if len(atoms) == 0:
            volume = float(atoms.get_volume()) if atoms.pbc.all() else None
            none = np.zeros((0, 3, 3))
            return Evaluation.of(
                np.zeros(0), np.zeros((0, 3)), np.zeros((3, 3)), none, volume
            )
        vectors.requires_grad_(differentiate)
        energies = self.atomic_energies(numbers, i, j, vectors)
        if not differentiate:
            return Evaluation.of(energies.cpu().double().numpy())
        (gradient,) = torch.autograd.grad(energies.sum(), vectors)
        return _derivatives(atoms, energies, (i, j), vectors.detach(), gradient)


def _derivatives(
    atoms: Atoms,
    energies: Tensor,
    ends: tuple[Tensor, Tensor],
    vectors: Tensor,
    gradient: Tensor,
) -> Evaluation:
    """Return the evaluation, given dE/d r_ij; signs as in docs/conventions.md."""
    i, j = ends
    g, r = gradient.double(), vectors.double()
    forces = g.new_zeros(len(atoms), 3).index_add(0, i, g).index_add(0, j, -g)
    outer = -0.25 * r[:, :, None] * g[:, None, :]
    outer = outer + outer.transpose(1, 2)
    shares = g.new_zeros(len(atoms), 3, 3).index_add(0, i, outer)
    shares = shares.index_add(0, j, outer)
    return Evaluation.of(
        energies.detach().cpu().double().numpy(),
        forces.cpu().numpy(),
        shares.sum(0).cpu().numpy(),
        shares.cpu().numpy(),
        float(atoms.get_volume()) if atoms.pbc.all() else None,
    )


class DispersionTable:
    """What is added for each head of a potential.

    Attributes:
        request: None or ``"none"``, ``"auto"``, or the rule of the head.
    """

    def __init__(
        self, config: PotentialConfig, request: str | None, like: Tensor
    ) -> None:
        """Keep the request; see [`Calculator`][lamplighter.model.Calculator].

        Raises:
            ConfigError: not a request.
        """
        if request not in (None, "none", "auto"):
            D3Rule.parse(request)
        self.config, self.request, self._like = config, request, like
        self._cache: dict[str, D3] = {}

    def of(self, head: str | None) -> D3 | None:
        """Return what is added to the energies of `head`; None: nothing.

        Raises:
            ConfigError: a rule was requested that is not the head's.
            OptionalDependencyError: torch-dftd is needed and not installed.
        """
        spec = self.config.head(head)
        if self.request in (None, "none"):
            return None
        asks = spec.dispersion not in ("none", "included")
        if self.request not in ("auto", spec.dispersion):
            meaning = {"included": ", its labels contain dispersion", "none": ""}
            raise ConfigError(
                explain(
                    f"head {spec.name!r} does not ask for this dispersion",
                    got=repr(self.request),
                    wanted=f"its own rule, {spec.dispersion!r}"
                    + meaning.get(spec.dispersion, ""),
                    fix="dispersion='auto' adds what a head asks for",
                )
            )
        if not asks:
            return None
        if spec.dispersion == "unknown":
            raise ConfigError(
                explain(
                    f"nobody has said what dispersion head {spec.name!r} contains",
                    got="an imported head without a description",
                    wanted="none, included, or a rule such as d3bj:pbe",
                    fix="lamplighter import ... --heads FILE.yaml",
                )
            )
        if spec.dispersion not in self._cache:
            rule = D3Rule.parse(spec.dispersion)
            self._cache[spec.dispersion] = D3(rule, self._like)
        return self._cache[spec.dispersion]

    def add(
        self, found: Evaluation, atoms: Atoms, head: str | None, *, differentiate: bool
    ) -> Evaluation:
        """Return `found` plus the dispersion of `head`."""
        d3 = self.of(head)
        if d3 is None:
            return found
        return found.plus(d3.evaluate(atoms, differentiate=differentiate))


@functools.cache
def _torch_dftd() -> tuple[Any, Any]:
    """Return the module class and the parameter table of torch-dftd."""
    try:
        from torch_dftd.dftd3_xc_params import (  # noqa: PLC0415  (an extra)
            get_dftd3_default_params,
        )
        from torch_dftd.nn.dftd3_module import DFTD3Module  # noqa: PLC0415
    except ImportError as error:
        raise OptionalDependencyError(
            explain(
                "dispersion needs the package torch-dftd",
                got=error,
                fix="pip install 'lamplighter[dispersion]'",
            )
        ) from error
    return DFTD3Module, get_dftd3_default_params
