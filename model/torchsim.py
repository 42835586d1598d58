"""The potential as a model of TorchSim: many systems in one evaluation.

Needs the package torch-sim-atomistic (``lamplighter[torchsim]``) at import; nothing
else of Lamplighter imports this module.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from lamplighter.errors import (
    ConfigError,
    DataError,
    OptionalDependencyError,
    explain,
)
from lamplighter.model.artifact import load_potential, torch_dtype
from lamplighter.model.derivatives import predict, predict_energies
from lamplighter.model.evaluate import structure_graph
from lamplighter.model.graph import Graph, collate
from lamplighter.model.potential import Potential

try:
    import torch_sim
    from torch_sim.models.interface import ModelInterface
except ImportError as missing:
    raise OptionalDependencyError(
        explain(
            "TorchSim is not installed",
            got=missing,
            fix="pip install 'lamplighter[torchsim]'",
        )
    ) from missing


class LamplighterModel(ModelInterface):  # type: ignore[misc]
    """One head of a potential behind TorchSim's model interface.

    Energies include E0 and are float64, so that differences of large systems survive
    float32. The sign of the stress is TorchSim's, which is ASE's (tension positive);
    systems that are not periodic in three directions have a stress of NaN. Charge and
    spin are read from ``charge`` and ``spin`` of the state, one number for each system,
    where the potential depends on them; a spin of 0, which TorchSim writes for systems
    that do not say, stands for the default multiplicity. Neighbours are found by vesin
    on the processor.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Potential,
        head: str | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        *,
        compute_forces: bool = True,
        compute_stress: bool = True,
    ) -> None:
        """Create the model.

        Args:
            model: a model file, or a potential, which stays as it is.
            head: name of the head; needed when the model has several.
            dtype: of the states and of forces and stress, ``torch.float64`` or
                ``torch.float32``.
            device: of the states.
            compute_forces: whether to compute forces.
            compute_stress: whether to compute stresses.

        Raises:
            ArtifactError: the file is not a usable model.
            ConfigError: unknown head or dtype.
        """
        super().__init__()
        name = str(dtype).removeprefix("torch.")
        self._dtype, self._device = torch_dtype(name), torch.device(device)
        if isinstance(model, Potential):
            self.potential = copy.deepcopy(model)
        else:
            self.potential = load_potential(model, name)
        self.potential.to(device=self._device, dtype=self._dtype)
        self.potential.requires_grad_(requires_grad=False)
        self.head = self.potential.config.head(head).name
        self._compute_forces = compute_forces
        self._compute_stress = compute_stress

    @property
    def compute_forces(self) -> bool:
        """Whether forces are computed; may be set."""
        return self._compute_forces

    @compute_forces.setter
    def compute_forces(self, compute_forces: bool) -> None:
        self._compute_forces = compute_forces

    @property
    def compute_stress(self) -> bool:
        """Whether stresses are computed; may be set."""
        return self._compute_stress

    @compute_stress.setter
    def compute_stress(self, compute_stress: bool) -> None:
        self._compute_stress = compute_stress

    def forward(self, state: Any, **_: object) -> dict[str, Tensor]:
        """Return energies and, where asked for, forces and stresses of all systems.

        Args:
            state: a ``SimState``, or its fields as a mapping.

        Returns:
            ``energy [n_systems]`` in eV, ``forces [n_atoms, 3]`` in eV/Å and
            ``stress [n_systems, 3, 3]`` in eV/Å^3, not connected to any graph.

        Raises:
            ConfigError: an element that the head lacks, or a state of another dtype or
                device.
            DataError: a system without a neighbour list, with two atoms at one place,
                or with an energy or force that is not finite.
        """
        if isinstance(state, Mapping):
            state = torch_sim.SimState(
                **{"masses": torch.ones_like(state["positions"][:, 0]), **state}
            )
        self._require_same_kind(state)
        structures = _structures(state)
        graph = self._graph(structures)
        if not (self._compute_forces or self._compute_stress):
            atomic = predict_energies(self.potential, graph)
            zeros = atomic.new_zeros(graph.n_frames)
            return _finite({"energy": zeros.index_add(0, graph.frames, atomic)})
        prediction = predict(self.potential, graph)
        found = {"energy": prediction.energy.detach()}
        if self._compute_forces:
            found["forces"] = prediction.forces.detach()
        _finite(found)
        if self._compute_stress:
            volumes = [a.get_volume() if a.pbc.all() else np.nan for a in structures]
            volume = prediction.virial.new_tensor(volumes)
            found["stress"] = -prediction.virial.detach() / volume[:, None, None]
        return found

    def _graph(self, structures: list[Atoms]) -> Graph:
        """Return the graph of all systems."""
        if not structures:
            raise DataError(explain("a state without systems", wanted="at least one"))
        graphs = [structure_graph(self.potential, a, self.head) for a in structures]
        return collate(graphs)

    def _require_same_kind(self, state: Any) -> None:
        """Refuse a state whose tensors would be converted without a word."""
        got = (state.positions.dtype, state.positions.device.type)
        wanted = (self._dtype, self._device.type)
        if got != wanted:
            raise ConfigError(
                explain(
                    "the state is not of the kind of the model",
                    got=" on ".join(map(str, got)),
                    wanted=" on ".join(map(str, wanted)),
                    fix="give the model the dtype and device of the states",
                )
            )


def _structures(state: Any) -> list[Atoms]:
    """Return the systems of a state; the cell of TorchSim has vectors as columns."""
    cells = state.cell.detach().cpu().double().transpose(1, 2).numpy()
    positions = state.positions.detach().cpu().double().numpy()
    numbers = state.atomic_numbers.cpu().numpy()
    system = state.system_idx.cpu().numpy()
    pbc = np.broadcast_to(torch.as_tensor(state.pbc).cpu().numpy(), 3)
    info = _conditions(state, len(cells))
    return [
        Atoms(
            numbers=numbers[system == k],
            positions=positions[system == k],
            cell=cell if pbc.any() else None,
            pbc=pbc,
            info=info[k],
        )
        for k, cell in enumerate(cells)
    ]


def _conditions(state: Any, n_systems: int) -> list[dict[str, float]]:
    """Return charge and spin of each system, where the state has them."""
    found: list[dict[str, float]] = [{} for _ in range(n_systems)]
    for name in ("charge", "spin"):
        values = getattr(state, name, None)
        if values is None:
            continue
        numbers = torch.as_tensor(values).cpu().reshape(-1).expand(n_systems).tolist()
        for info, number in zip(found, numbers, strict=True):
            if name == "charge" or number != 0:  # multiplicities begin at 1
                info[name] = float(number)
    return found


def _finite(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the results, all of them finite."""
    for name, values in found.items():
        if not torch.isfinite(values).all():
            bad = torch.nonzero(~torch.isfinite(values))[:8, 0].unique().tolist()
            what = "systems" if name == "energy" else "atoms"
            raise DataError(
                explain(
                    f"the potential gives a {name} that is not finite",
                    got=f"{what} {bad}",
                    wanted="atoms at distances that occur in matter",
                    fix="look at these atoms' neighbours; try torch.float64",
                )
            )
    return found
