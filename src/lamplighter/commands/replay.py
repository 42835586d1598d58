"""What the commands about replay and presets do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lamplighter.console import info, table
from lamplighter.files import atomic_path

if TYPE_CHECKING:
    from lamplighter.train.finetune_config import ReplaySettings

DONE = 0


def label(
    model: Path,
    files: Sequence[Path],
    head: str,
    output: Path,
    *,
    dtype: Literal["float32", "float64"],
    device: str,
    wait_s: float,
) -> int:
    """Write or find a file with pseudolabels; say what they depend on."""
    from lamplighter.train.pseudolabels import label_structures

    found = label_structures(
        model,
        files,
        head=head,
        output=output,
        dtype=dtype,
        device=device,
        wait_s=wait_s,
    )
    verb = "found" if found.reused else "wrote"
    info(f"{verb} {found.path}: {found.frames} structures, head {head}, {dtype}")
    info(f"fingerprint: {found.fingerprint.digest}")
    return DONE


def select(
    files: Sequence[Path],
    new: Sequence[Path],
    settings: ReplaySettings,
    model: Path | None,
    head: str | None,
    output: Path,
    *,
    as_json: bool,
) -> int:
    """Write the chosen frames and show how relevant they are."""
    from lamplighter.model import load_potential
    from lamplighter.train.data.reader import read_frames
    from lamplighter.train.replay_report import report_relevance
    from lamplighter.train.replay_selection import select_frames
    from lamplighter.train.structures import bare_frame, read_structures
    from lamplighter.train.xyz_writer import labelled_atoms, write_xyz

    candidates = [f for path in files for f in read_frames(path, head)]
    fresh = [bare_frame(*one) for path in new for one in read_structures(path)]
    potential = None if model is None else load_potential(model)
    chosen = select_frames(candidates, settings, new=fresh, potential=potential)
    heads = ", ".join(sorted({f.head for f in candidates}))
    report = report_relevance(
        chosen,
        fresh,
        settings,
        head=heads,
        candidates=len(candidates),
        potential=potential,
    )
    with atomic_path(output) as temporary:
        write_xyz(temporary, map(labelled_atoms, chosen))
    info(_json(report.to_dict()) if as_json else report.text())
    if not as_json:
        info(f"wrote {output}")
    return DONE


def presets(name: str | None, *, as_json: bool) -> int:
    """Show the names of the presets, or every value of one."""
    from lamplighter.train import preset_files as room

    if name is None:
        columns = ("preset", "command", "what")
        rows = [
            (preset, room.COMMANDS[kind], room.preset_summary(preset))
            for preset, kind in room.PRESETS.items()
        ]
        if as_json:
            info(_json([dict(zip(columns, row, strict=True)) for row in rows]))
        else:
            table(rows, columns)
        return DONE
    found = room.effective_settings(name)
    if as_json:
        info(_json({one.name: [one.value, one.origin] for one in found}))
        return DONE
    for line in room.preset_text(name).splitlines():
        info(line)
    info("")
    room.show_effective(
        found, f"preset {name}, with the defaults of what it leaves open"
    )
    return DONE


def _json(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False)
