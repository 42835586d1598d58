"""What may matter: only neighbours, and parts add up."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from lamplighter.model import Potential
from lamplighter.validation.model_checks import structures
from lamplighter.validation.model_checks.batched import Evaluation, evaluate_together
from lamplighter.validation.model_checks.deviation import (
    UNITS,
    Deviation,
    deviations,
    worst_records,
)
from lamplighter.validation.model_checks.record import (
    CheckRecord,
    information,
    judged,
    skipped,
)
from lamplighter.validation.model_checks.subject import Subject

NO_CUTOFF = "the cutoff is unknown: name it in subject_of_calculator(cutoff=...)"
_DIRECTION = np.array([2.0, -3.0, 6.0]) / 7.0


def check_extensivity(subject: Subject) -> list[CheckRecord]:
    """Put two different molecules, and two equal ones, far apart."""
    a = structures.cluster(subject.sample, subject.cutoff)
    b = structures.cluster(subject.sample[::-1], subject.cutoff, seed=3)[:-1]
    far = _DIRECTION * (50.0 + 4.0 * (subject.receptive_field or 10.0))
    found: list[Deviation] = []
    for other, note in ((a, "two copies"), (b, "two different molecules")):
        one, two = subject.evaluate(a), subject.evaluate(other)
        expected = Evaluation(
            one.energy + two.energy,
            np.vstack([one.forces, two.forces]),
            interaction=one.interaction + two.interaction,
        )
        both = subject.evaluate(structures.joined(a, other, far))
        found += deviations(subject, expected, both, note)
    return worst_records("extensivity", subject, found, ("energy", "forces"))


def check_locality(subject: Subject) -> list[CheckRecord]:
    """Add an atom beyond the cutoff, and pull at the end of a long chain."""
    if subject.cutoff is None or subject.receptive_field is None:
        return [skipped("locality.separate", NO_CUTOFF)]
    return [
        _separate(subject, subject.cutoff),
        *_chain(subject, subject.cutoff, subject.receptive_field),
    ]


def _separate(subject: Subject, cutoff: float) -> CheckRecord:
    """Add one atom that no other atom sees: messages have no way to travel."""
    atoms = structures.cluster(subject.sample, cutoff)
    before = subject.evaluate(atoms)
    radius = np.linalg.norm(atoms.positions, axis=1).max()
    changes = []
    for element in subject.sample:
        stranger = Atoms([element], [_DIRECTION * (radius + 1.01 * cutoff)])
        after = subject.evaluate(atoms + stranger).forces
        changes += [np.abs(after[:-1] - before.forces).max(), np.abs(after[-1]).max()]
    change = float(np.max(changes))  # unlike max(), not deaf to NaN
    tolerance = subject.tolerances.forces * before.scale
    note = "an atom just beyond the cutoff of all others"
    return judged("locality.separate", change, tolerance, "eV/Å", note)


def _chain(subject: Subject, cutoff: float, field: float) -> list[CheckRecord]:
    """Pull at the end of a chain: how far do forces and atomic energies change?

    Atom i's energy depends on atoms within the receptive field; its force contains
    the energies of atoms that far away, which again depend on atoms that far away
    from them. Forces therefore reach twice as far as energies.
    """
    atoms = structures.chain(subject.sample, cutoff, 2.0 * field + 1.0)
    pulled = atoms.copy()
    pulled.positions[0] += [-0.05, 0.1, 0.12]
    before, after = subject.evaluate(atoms), subject.evaluate(pulled)
    ends = np.stack([atoms.positions[0], pulled.positions[0]])
    gaps = np.linalg.norm(atoms.positions[:, None] - ends[None], axis=2).min(axis=1)
    change = np.abs(after.forces - before.forces).max(axis=1)
    scale = before.scale
    t = subject.tolerances
    note = f"forces more than twice {field:g} Å from the atom that moved"
    records = [
        judged(
            "locality.forces",
            change[gaps > 2.0 * field].max(),
            t.forces * scale,
            "eV/Å",
            note,
        )
    ]
    if before.energies is None or after.energies is None:
        reason = "the calculator does not compute energies of atoms"
        records.append(skipped("locality.energies", reason))
    else:
        moved = np.abs(after.energies - before.energies)[gaps > field].max()
        note = f"atomic energies more than {field:g} Å from the atom that moved"
        largest = float(np.abs(before.energies).max())
        tolerance = t.energy * scale + 16.0 * subject.epsilon * largest
        records.append(judged("locality.energies", moved, tolerance, "eV", note))
    felt = gaps[change > max(1e-6, t.forces * scale)].max(initial=0.0)
    note = f"farthest force that changed; cutoff {cutoff:g}, receptive field {field:g}"
    return [*records, information("locality.reach", felt, "Å", note)]


def check_isolated(subject: Subject) -> list[CheckRecord]:
    """Evaluate one atom of every element that the model knows."""
    energies, forces = {}, 0.0
    for element in subject.elements:
        alone = subject.evaluate(Atoms([element], [[0.3, -0.2, 0.1]]))
        energies[element] = alone.energy
        force = float(np.abs(alone.forces).max())
        forces = max(forces, force if np.isfinite(force) else np.inf)
    bad = [e for e, energy in energies.items() if not np.isfinite(energy)]
    note = f"elements without a finite energy: {', '.join(bad) or 'none'}"
    records = [
        judged("isolated.energy", len(bad), 0.0, "atoms", note),
        judged("isolated.forces", forces, subject.tolerances.forces, "eV/Å"),
    ]
    offsets = {
        e: energies[e] - reference
        for e, reference in subject.reference_energies.items()
        if e in energies and e not in bad
    }
    if not offsets:
        reason = "the reference energies (E0) are unknown"
        return [*records, skipped("isolated.offset", reason)]
    worst = max(offsets, key=lambda e: abs(offsets[e]))
    note = f"farthest from E0: {worst}"
    return [*records, information("isolated.offset", offsets[worst], "eV", note)]


def check_batch(subject: Subject) -> list[CheckRecord]:
    """Evaluate structures of several sizes and heads together and one by one."""
    if subject.potential is None:
        reason = "a plain ASE calculator evaluates one structure at a time"
        return [skipped(f"batch.{quantity}", reason) for quantity in UNITS]
    potential = subject.potential
    atoms = [
        structures.crystal(subject.sample, subject.cutoff),
        Atoms([subject.sample[0]]),
        structures.cluster(subject.sample, subject.cutoff),
        structures.small_cell(subject.sample, subject.cutoff),
    ]
    for one in atoms[::2]:
        one.info |= _other_conditions(potential)
    heads = [
        head.name
        for head in potential.config.heads
        if set(subject.sample) <= set(head.reference_energies)
    ]
    tasks = [(one, head) for one in atoms for head in heads[:3]]
    found: list[Deviation] = []
    together = evaluate_together(potential, tasks)
    for (one, head), got in zip(tasks, together, strict=True):
        (expected,) = evaluate_together(potential, [(one, head)])
        note = f"{one.get_chemical_formula()}, head {head}"
        found += deviations(subject, expected, got, note)
    return worst_records("batch", subject, found)


def _other_conditions(potential: Potential) -> dict[str, float]:
    """Return a charge or a spin that is not the default, where there is a choice."""
    return {
        spec.name: (spec.default or 0.0) + 1.0
        for spec in potential.config.conditions
        if spec.kind == "continuous"
        or (spec.default or 0.0) + spec.offset + 1.0 < spec.n_classes
    }
