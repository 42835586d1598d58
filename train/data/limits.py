"""How large a label may be before the reader suspects its unit."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from lamplighter.errors import ConfigError, explain


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderLimits:
    """Bounds beyond which a label or a geometry is refused.

    Attributes:
        max_force: largest force on an atom, eV/Å.
        max_stress: largest stress component, eV/Å^3 (5 eV/Å^3 are 800 GPa).
        max_binding: largest distance of an energy from the head's free atoms,
            eV/atom, where the free atoms are in the file.
        min_distance: smallest distance of two atoms as a fraction of the sum of their
            covalent radii.
        stress_asymmetry: largest difference of two transposed stress components,
            eV/Å^3.
        require_forces: refuse frames of more than one atom without forces.
        check_work: refuse files in which the work of the forces or of the stress
            between neighbouring geometries does not explain the energies.
    """

    max_force: float = 150.0
    max_stress: float = 5.0
    max_binding: float = 25.0
    min_distance: float = 0.5
    stress_asymmetry: float = 1e-4
    require_forces: bool = True
    check_work: bool = True

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type != "bool" and not value >= 0:
                raise ConfigError(
                    explain(
                        f"limit {field.name} is not a number of at least 0", got=value
                    )
                )
