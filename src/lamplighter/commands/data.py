"""What the commands `lamplighter data ...` do: call the room, show what came back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamplighter.console import info, progress, table
from lamplighter.resources import dataset

if TYPE_CHECKING:
    from lamplighter.train.data.labels import LabelSettings
    from lamplighter.train.data.limits import ReaderLimits

DONE = 0
PROBLEMS = 1


def _labels(options: Mapping[str, Any], default_head: str) -> LabelSettings:
    from lamplighter.train.data.labels import LabelSettings

    values = {key: value for key, value in options.items() if key != "head"}
    return LabelSettings(default_head=options["head"] or default_head, **values)


def _limits(options: Mapping[str, Any]) -> ReaderLimits:
    from lamplighter.train.data.limits import ReaderLimits

    return ReaderLimits(
        max_force=options["limit_force"],
        max_stress=options["limit_stress"],
        min_distance=options["limit_distance"],
        check_work=not options["no_check_work"],
    )


def _files(files: Sequence[Path]) -> list[Path]:
    """Files, with ``dataset:NAME`` for the shipped ones."""
    kinds = [str(file).partition(":") for file in files]
    return [
        dataset(name) if kind == "dataset" and name else file
        for file, (kind, _, name) in zip(files, kinds, strict=True)
    ]


def inspect(
    files: Sequence[Path],
    labels: Mapping[str, Any],
    limits: Mapping[str, Any],
    *,
    as_json: bool,
) -> int:
    """Show what is in some files; 1 when something is wrong with them."""
    from lamplighter.train.data.inspection import NO_HEAD, inspect_files

    found = inspect_files(
        _files(files), labels=_labels(labels, NO_HEAD), limits=_limits(limits)
    )
    if as_json:
        info(json.dumps(found.to_json(), indent=1, ensure_ascii=False))
        return PROBLEMS if found.problems else DONE
    for head, numbers in found.heads.items():
        _show_head(head, numbers)
    for problem in found.problems:
        info(f"problem: {problem}")
    if not found.problems:
        info("no problem found")
    return PROBLEMS if found.problems else DONE


def _show_head(head: str, numbers: Mapping[str, Any]) -> None:
    rows: list[tuple[str, str]] = [
        ("frames", f"{numbers['frames']} with {numbers['atoms']} atoms"),
        ("compositions", str(numbers["compositions"])),
        ("groups", str(numbers["groups"])),
    ]
    for name in ("elements", "config_types", "domains", "levels", "missing"):
        entries = [f"{key} {n}" for key, n in numbers[name].items() if n]
        rows.append((name.replace("_", " "), ", ".join(entries[:12]) or "none"))
    energies = [f"{e} {x:.3f}" for e, x in numbers["reference_energies"].items()]
    rows.append(("free atoms, fitted, eV", ", ".join(energies)))
    if numbers["undetermined"]:
        rows.append(("not determined", ", ".join(numbers["undetermined"])))
    for name, unit in (
        ("energy_per_atom", "eV above the atoms"),
        ("max_force", "eV/Å"),
        ("max_stress", "eV/Å^3"),
    ):
        span = numbers[name]
        if span is not None:
            shown = [f"{key} {value:.4g}" for key, value in span.items()]
            rows.append((f"{name.replace('_', ' ')}, {unit}", ", ".join(shown)))
    table(rows, ("", "value"), title=f"head {head}")


def filter_(
    files: Sequence[Path],
    output: Path,
    criteria: Mapping[str, Any],
    labels: Mapping[str, Any],
    limits: Mapping[str, Any],
) -> int:
    """Write the frames that pass; say how many and why the others did not."""
    from lamplighter.train.data.filtering import FilterSettings, filter_files
    from lamplighter.train.data.inspection import NO_HEAD

    dropped = filter_files(
        _files(files),
        output,
        FilterSettings(**criteria),
        labels=_labels(labels, NO_HEAD),
        limits=_limits(limits),
    )
    for why, count in dropped.reasons.most_common():
        info(f"dropped {count}: {why}")
    info(f"wrote {dropped.kept} frames: {output}")
    return DONE


def split(
    files: Sequence[Path],
    output: Path,
    rule: Mapping[str, Any],
    labels: Mapping[str, Any],
    limits: Mapping[str, Any],
) -> int:
    """Divide files by groups; say what was written."""
    from lamplighter.train.data.filtering import DivideSettings, split_files
    from lamplighter.train.data.inspection import NO_HEAD

    written = split_files(
        _files(files),
        output,
        DivideSettings(**rule),
        labels=_labels(labels, NO_HEAD),
        limits=_limits(limits),
    )
    for name, entry in written.items():
        info(
            f"{name}: {entry['frames']} frames of {entry['groups']} groups: "
            f"{entry['path']}"
        )
    return DONE


def cache(
    files: Sequence[Path],
    output: Path,
    settings: Mapping[str, Any],
    labels: Mapping[str, Any],
    limits: Mapping[str, Any],
) -> int:
    """Build a cache, or go on with it; show its size."""
    from lamplighter.train.data.cache import Cache, summary
    from lamplighter.train.data.cache_build import build_cache
    from lamplighter.train.data.cache_config import CacheSettings

    complete = CacheSettings(
        head=labels["head"] or None,
        labels=_labels({**labels, "head": ""}, ""),
        limits=_limits(limits),
        **settings,
    )
    with progress(0, "cache") as advance:
        build_cache(_files(files), output, complete, advance=advance)
    for name, value in summary(Cache(output)).items():
        info(f"{name}: {_short(value)}")
    info(f"in a training file: files: [{output}]")
    return DONE


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{n} {why}" for why, n in value.items()) or "none"
    return str(value)


def verify(folder: Path) -> int:
    """Compare all checksums of a cache."""
    from lamplighter.train.data.cache import Cache

    found = Cache(folder)
    found.verify()
    info(f"{len(found)} frames are as they were written")
    return DONE
