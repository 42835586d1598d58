"""Which figures a page has: how each is drawn, what stands below it, where it goes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from lamplighter.validation.report import (
    plots,
    plots_more,
    plots_surfaces,
    plots_vibrations,
)
from lamplighter.validation.report.document import Document
from lamplighter.validation.report.style import to_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Draw = Callable[[Mapping[str, Any]], Figure]

MAX_BYTES: Final = 4_400_000
"""What all figures together may weigh: with the tables a page stays under 5 MB."""

Row = tuple["Draw", str, str]

PLOTS: Final[dict[str, Row]] = {
    "learning_curve": (
        plots.learning_curve,
        "Learning curve",
        (
            "Force error on held-out frames of every head while the new one learns. "
            "The old heads are replayed; a rising line would be forgetting."
        ),
    ),
    "force_parity": (
        plots.force_parity,
        "Force parity on held-out frames",
        (
            "Force components predicted by the post-trained model against the labels; "
            "the number is the RMSE of the panel."
        ),
    ),
    "dynamics": (
        plots.dynamics,
        "Molecular dynamics in LAMMPS",
        "Potential energy and temperature of the NVT run.",
    ),
    "phonon": (
        plots.phonon_bands,
        "Phonon bands",
        (
            "All engines over the DFT reference, if there is one, and the largest "
            "difference between the engines at each point of the path."
        ),
    ),
    "bulk": (
        plots.equation_of_state,
        "Energy against volume",
        (
            "Static energies (symbols) and the fitted equation of state (lines), "
            "each measured from its own minimum."
        ),
    ),
    "elastic": (
        plots.stress_strain,
        "Stress against strain",
        (
            "Circles: the first engine; squares: the second. Lines: linear fits, whose "
            "slopes are the elastic constants."
        ),
    ),
    "surface": (
        plots.surface_thickness,
        "Surface energy against slab thickness",
        (
            "What each slab gives with the fitted bulk energy taken off; lines: fit "
            "E(N) = 2Aγ + N e. A trend would mean that slab and bulk do not agree."
        ),
    ),
    "dos": (
        plots_vibrations.density_of_states,
        "Phonon density of states",
        "Filled: the share of each element, of the first engine.",
    ),
    "thermal": (
        plots_vibrations.thermal,
        "Harmonic thermal functions",
        "Per atom, at constant volume. Diamonds: references.",
    ),
    "grueneisen": (
        plots_vibrations.mode_grueneisen,
        "Mode Grueneisen parameters",
        "One point a mode: how fast its frequency falls as the crystal expands.",
    ),
    "qha": (
        plots_vibrations.against_temperature,
        "Quasi-harmonic approximation",
        "From phonons at several volumes.",
    ),
    "facets": (
        plots_surfaces.facet_energies,
        "Surface energy by facet",
        "The lowest first. Strokes: as cut, before the atoms relax.",
    ),
    "wulff": (
        plots_surfaces.wulff_shapes,
        "Wulff shape",
        (
            "The equilibrium shape of a particle, and the share of each facet in its "
            "surface."
        ),
    ),
    "vacancy": (
        plots_more.vacancy_sizes,
        "Vacancy energy against cell size",
        "Lines: extrapolation to a single vacancy in an infinite crystal.",
    ),
    "dimers": (
        plots_more.dimer_curves,
        "Pairs of atoms",
        (
            "Two atoms alone. A fall at short distance is a hole into which atoms "
            "disappear."
        ),
    ),
    "locality": (
        plots_more.locality,
        "Reach of the forces",
        "Change of the force on one atom when another one, this far away, is moved.",
    ),
    "nve": (
        plots_more.energy_drift,
        "Conservation of energy",
        (
            "Total energy of dynamics without a thermostat. It may swing; a trend is "
            "a force that is not the derivative of the energy, or too long a time step."
        ),
    ),
    "systems": (
        plots_more.system_errors,
        "Every system beside its reference",
        "Model minus reference; grey: the uncertainty of the reference.",
    ),
    "grueneisen_bands": (
        plots.phonon_bands,
        "Grueneisen parameters along the bands",
        "One line a mode.",
    ),
    "plain": (
        plots_more.plain_arrays,
        "Arrays",
        "The arrays of this property as they are.",
    ),
}
"""Kind of figure -> function, heading, caption; in the order of the page."""


def drawn(document: Document) -> list[dict[str, str]]:
    """Return every figure of a document as inline SVG, those that fit into the page.

    Returns:
        ``key`` (unique on the page), ``kind``, ``property`` and ``material`` (empty for
        what belongs to no property), ``title``, ``caption``, ``note``, ``svg`` (empty
        where the page would become too large: the numbers are in report.json).
    """
    found, weight = [], 0
    for one in _listed(document):
        draw, title, caption = PLOTS[one["kind"]]
        label = f"{title}, {one['material']}" if one["material"] else title
        view = draw(_literal(one["data"]))
        svg = to_svg(view, f"plot-{one['key']}", f"{label}. {caption}")
        svg = _lighter(svg)
        weight += len(svg.encode())
        note = one["data"].get("note", "")
        if weight > MAX_BYTES:
            weight -= len(svg.encode())
            svg, note = "", "Left out: the page would be too large for an e-mail."
        found.append(
            {
                **{key: one[key] for key in ("key", "kind", "property", "material")},
                "title": title,
                "caption": caption,
                "note": note,
                "svg": svg,
            }
        )
    return found


def _listed(document: Document) -> list[dict[str, Any]]:
    """Return the figures of both lists of a document in the order of the page."""
    material = {t["property"]: t["material"] for t in reversed(document["properties"])}
    found = [
        {
            "key": key,
            "kind": key,
            "property": key if key in material else "",
            "material": material.get(key, ""),
            "data": document["plots"][key],
        }
        for key in PLOTS
        if document["plots"].get(key) is not None
    ]
    for one in document.get("figures", ()):
        words = "-".join((one["kind"], one["property"], one["material"]))
        key = re.sub(r"[^A-Za-z0-9_-]", "-", words)
        if one["kind"] in PLOTS:
            found.append({**one, "key": key})
    return found


def _literal(value: Any) -> Any:
    """Return the data with dollars that matplotlib does not take for formulas."""
    if isinstance(value, str):
        return value.replace("$", r"\$")
    if isinstance(value, Mapping):
        return {_literal(key): _literal(item) for key, item in value.items()}
    return [_literal(item) for item in value] if isinstance(value, list) else value


def _lighter(svg: str) -> str:
    """Return the SVG with coordinates to a hundredth of a point: no eye sees less."""
    return re.sub(
        r' (?:d|points|x|y|x1|x2|y1|y2|cx|cy|transform)="[^"]*"',
        lambda found: re.sub(r"(\d+\.\d{2})\d+", r"\1", found[0]),
        svg,
    )
