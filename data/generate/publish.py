"""Check labelled frames and write them to `data/NAME.xyz.gz` and the README's counts.

    python publish.py --labels FOLDER

FOLDER holds the plain files of the labellers (`NAME.xyz`, `NAME.log`); a file that is
absent there keeps its published frames. Frames stand in the order of the structure
file. Nothing that is published already gets lost: a folder with fewer frames is refused
unless `--allow-removal` is given. A run that adds nothing changes no byte.
"""

import argparse
import logging
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms
from catalogue import (
    DATASETS,
    GENERATE,
    PUBLISHED,
    Dataset,
    known_structures,
    structures_of,
)
from frame_checks import frame_problems
from labelled_frames import (
    failed_reasons,
    frames_text,
    read_frames,
    write_atomically,
    write_gzip,
)

log = logging.getLogger(__name__)

TEMPERATURE = re.compile(r"_T\d+$")
BEGIN = "<!-- counts: written by generate/publish.py, do not edit -->"
END = "<!-- end of counts -->"


class PublishError(Exception):
    """The labels cannot be published; says which frames and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What one file holds after publishing.

    Attributes:
        dataset: Its entry in the catalogue.
        structures: The structures that it asks labels for.
        frames: The labelled ones, in the order of the structure file; a few may go
            beyond what was asked for.
    """

    dataset: Dataset
    structures: Sequence[Atoms]
    frames: Sequence[Atoms]

    @property
    def missing(self) -> list[str]:
        """The uids of the structure file that have no label."""
        labelled = {frame.info["uid"] for frame in self.frames}
        uids = (atoms.info["uid"] for atoms in self.structures)
        return [uid for uid in uids if uid not in labelled]

    @property
    def extra(self) -> list[str]:
        """The uids of labelled frames beyond what was asked for."""
        asked = {atoms.info["uid"] for atoms in self.structures}
        uids = (frame.info["uid"] for frame in self.frames)
        return [uid for uid in uids if uid not in asked]


def ordered_frames(
    dataset: Dataset, frames: Sequence[Atoms], structures: Sequence[Atoms]
) -> list[Atoms]:
    """The frames in the order of their structures.

    Raises:
        PublishError: A frame is double, unknown, or fails a check.
    """
    known = {atoms.info["uid"]: atoms for atoms in structures}
    found: dict[str, Atoms] = {}
    problems = []
    for frame in frames:
        uid = frame.info.get("uid", "(no uid)")
        if uid in found:
            problems.append(f"{uid}: occurs twice")
        elif uid not in known:
            problems.append(f"{uid}: not in {dataset.structures}.xyz")
        else:
            problems += [
                f"{uid}: {p}" for p in frame_problems(frame, known[uid], dataset)
            ]
        found[uid] = frame
    if problems:
        message = f"{dataset.name}: nothing written.\n  " + "\n  ".join(problems)
        raise PublishError(message)
    return [found[uid] for uid in known if uid in found]


def publish_dataset(
    dataset: Dataset, labels: Path | None, folder: Path, *, allow_removal: bool = False
) -> Published:
    """Write one `NAME.xyz.gz` from the labels, or keep the published one.

    Raises:
        PublishError: A frame fails a check, or a published frame would get lost.
    """
    structures = structures_of(dataset)
    target = folder / f"{dataset.name}.xyz.gz"
    old = read_frames(target)
    frames = read_frames(labels / f"{dataset.name}.xyz") if labels else []
    if not frames:
        frames = old
    frames = ordered_frames(dataset, frames, known_structures(dataset))
    lost = {f.info["uid"] for f in old} - {f.info["uid"] for f in frames}
    if lost and not allow_removal:
        message = (
            f"{dataset.name}: {len(lost)} published frames are not in {labels}: "
            f"{' '.join(sorted(lost))}. Unpack them there first (run_lanes.py does), "
            "or give --allow-removal."
        )
        raise PublishError(message)
    if frames:
        changed = write_gzip(target, frames_text(frames))
        log.info(
            "%-15s %3d of %3d labelled%s",
            dataset.name,
            len(frames),
            len(structures),
            "" if changed else ", unchanged",
        )
    return Published(dataset=dataset, structures=structures, frames=frames)


def failures(labels: Path | None, record: Path, done: Sequence[Published]) -> list[str]:
    """Lines `name uid reason` of the structures that were tried without success.

    Earlier lines of the record are kept until their structure has a label.
    """
    reasons: dict[tuple[str, str], str] = {}
    if record.exists():
        for line in record.read_text().splitlines():
            name, uid, reason = line.split(maxsplit=2)
            reasons[name, uid] = reason
    lines = []
    for published in done:
        name = published.dataset.name
        if labels:
            latest = failed_reasons(labels / f"{name}.log")
            reasons |= {(name, uid): reason for uid, reason in latest.items()}
        lines += [
            f"{name} {uid} {reasons[name, uid]}"
            for uid in published.missing
            if (name, uid) in reasons
        ]
    return lines


def counts_text(done: Sequence[Published], failed: Sequence[str]) -> str:
    """The README's part that counts frames per file and per configuration type."""
    rows = [
        "| file | head | level | present / asked | atoms | with stress | role |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for part in done:
        dataset = part.dataset
        role = {"test": "**test only**"}.get(dataset.role, dataset.role)
        rows.append(
            f"| `{dataset.name}` | `{dataset.head}` | {dataset.level} "
            f"| {len(part.frames) - len(part.extra)} / {len(part.structures)} "
            f"| {sum(map(len, part.frames))} "
            f"| {sum('REF_stress' in frame.info for frame in part.frames)} | {role} |"
        )
    rows += [
        "",
        "| file | domain | config_type: present / asked |",
        "| --- | --- | --- |",
    ]
    for part in done:
        rows += _type_rows(part)
    rows += ["", *_missing_lines(done, failed)]
    return "\n".join(rows)


def _kind(atoms: Atoms) -> tuple[str, str]:
    """Domain and configuration type, the latter without its temperature."""
    return atoms.info["domain"], TEMPERATURE.sub("", atoms.info["config_type"])


def _type_rows(part: Published) -> list[str]:
    """Table rows, one per domain, that count the configuration types."""
    asked = Counter(map(_kind, part.structures))
    here = Counter(_kind(a) for a in part.frames if a.info["uid"] not in part.extra)
    return [
        f"| `{part.dataset.name}` | {domain} | "
        + ", ".join(
            f"{kind} {here[place, kind]}/{asked[place, kind]}"
            for place, kind in sorted(asked)
            if place == domain
        )
        + " |"
        for domain in sorted({domain for domain, _ in asked})
    ]


def _missing_lines(done: Sequence[Published], failed: Sequence[str]) -> list[str]:
    """What the tables do not show: absent atoms, extra frames, failures."""
    lines = []
    for head in dict.fromkeys(part.dataset.head for part in done):
        parts = [part for part in done if part.dataset.head == head]
        needed = {s for part in parts for frame in part.frames for s in frame.symbols}
        present = {
            frame.symbols[0]
            for part in parts
            for frame in part.frames
            if frame.info["config_type"] == "IsolatedAtom"
        }
        if absent := sorted(needed - present):
            lines.append(
                f"- Head `{head}` has no isolated {', '.join(absent)} yet: fit its E0."
            )
    lines += [
        f"- `{part.dataset.name}` holds frames beyond the asked ones, not counted "
        f"as asked: {', '.join(part.extra)}."
        for part in done
        if part.extra
    ]
    lines += [
        f"- Tried without success: `{name}` {uid} ({reason})."
        for name, uid, reason in (line.split(maxsplit=2) for line in failed)
    ]
    return lines or ["Every head has its isolated atoms; no calculation failed."]


def update_readme(readme: Path, text: str) -> bool:
    """Replace what stands between the README's markers.

    Returns:
        Whether the file changed.

    Raises:
        PublishError: The README lacks the markers.
    """
    old = readme.read_text()
    if BEGIN not in old or END not in old:
        message = f"{readme} lacks the lines {BEGIN!r} and {END!r}; put them back"
        raise PublishError(message)
    head, rest = old.split(BEGIN, maxsplit=1)
    new = f"{head}{BEGIN}\n{text}\n{END}{rest.split(END, maxsplit=1)[1]}"
    if new != old:
        write_atomically(readme, new.encode())
    return new != old


def publish(
    labels: Path | None,
    folder: Path,
    *,
    allow_removal: bool = False,
    name_all: bool = False,
) -> None:
    """Publish every data set, the record of failures and the README's counts.

    Args:
        labels: Folder of the labellers' files; None rewrites the counts only.
        folder: Where `NAME.xyz.gz` and `README.md` stand.
        allow_removal: Whether published frames may disappear.
        name_all: Whether to log the name of every structure without a label.

    Raises:
        PublishError: The labels cannot be published.
    """
    done = [
        publish_dataset(dataset, labels, folder, allow_removal=allow_removal)
        for dataset in DATASETS
    ]
    record = folder / GENERATE.name / "failed.txt"
    failed = failures(labels, record, done)
    text = "".join(f"{line}\n" for line in failed)
    if text != (record.read_text() if record.exists() else ""):
        write_atomically(record, text.encode())
    update_readme(folder / "README.md", counts_text(done, failed))
    report_missing(done, failed, name_all=name_all)


def report_missing(
    done: Sequence[Published], failed: Sequence[str], *, name_all: bool
) -> None:
    """Log how many structures have no label, and which of them were tried.

    Args:
        done: What every file holds.
        failed: Lines `name uid reason`.
        name_all: Whether to name the ones that were not tried, too.
    """
    for line in failed:
        log.info("tried without success: %s", line)
    tried = {tuple(line.split()[:2]) for line in failed}
    for part in done:
        name = part.dataset.name
        left = [uid for uid in part.missing if (name, uid) not in tried]
        if left:
            uids = f": {' '.join(left)}" if name_all else " (--missing names them)"
            log.info("%s: %d not labelled yet%s", name, len(left), uids)


def main() -> int:
    """Publish from the command line; 2 and no change where a check fails."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, help="folder of the labellers' files")
    parser.add_argument("--allow-removal", action="store_true")
    parser.add_argument(
        "--missing", action="store_true", help="name every uid without a label"
    )
    arguments = parser.parse_args()
    try:
        publish(
            arguments.labels,
            PUBLISHED,
            allow_removal=arguments.allow_removal,
            name_all=arguments.missing,
        )
    except PublishError as error:
        log.error("%s", error)  # noqa: TRY400 - the user needs no traceback
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
