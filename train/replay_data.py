"""What a post-training replays: pseudolabels where asked, a choice, and its report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from lamplighter.console import info
from lamplighter.errors import ConfigError, explain
from lamplighter.files import atomic_path, sha256_file
from lamplighter.model import Potential
from lamplighter.train.config import HeadData
from lamplighter.train.data.labels import LabelSettings
from lamplighter.train.data.streaming import JoinedFrames
from lamplighter.train.finetune_config import FinetuneConfig
from lamplighter.train.prepare import PreparedData, resolve
from lamplighter.train.pseudolabels import label_structures
from lamplighter.train.replay_report import Relevance, report_relevance
from lamplighter.train.replay_selection import select_frames
from lamplighter.train.results import write_json

FOLDER = "pseudolabels"


def replay_heads(config: FinetuneConfig, base: Path) -> tuple[HeadData, ...]:
    """Return the replay heads with the files that hold the labels to learn from.

    With ``replay.labels: pseudo`` every file is labelled by the base, once, into the
    output folder; several processes wait for the one that does it.

    Raises:
        DataError: a structure that the base cannot label.
        ConfigError: files of an earlier run that depend on something else.
    """
    if config.replay.labels == "real":
        return config.replay_heads
    folder = config.output / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(_pseudo(head, config, base, folder) for head in config.replay_heads)


def _pseudo(
    head: HeadData, config: FinetuneConfig, base: Path, folder: Path
) -> HeadData:
    def labelled(files: Sequence[Path]) -> tuple[Path, ...]:
        found = []
        for path in map(resolve, files):
            _check_file(head, path)
            stem = path.name.split(".")[0]
            target = folder / f"{head.name}-{stem}-{sha256_file(path)[:8]}.xyz"
            done = label_structures(
                base,
                [path],
                head=head.name,
                output=target,
                labels=head.labels,
                dtype="float64" if config.run.dtype == "float64" else "float32",
                device=config.run.device,
            )
            verb = "found" if done.reused else "computed"
            info(f"{verb} {done.frames} labels of head {head.name!r}: {target.name}")
            found.append(target)
        return tuple(found)

    return dataclasses.replace(
        head,
        labels=LabelSettings(),
        files=labelled(head.files),
        validation_files=labelled(head.validation_files),
        test_files=labelled(head.test_files),
    )


def _check_file(head: HeadData, path: Path) -> None:
    if path.is_dir():
        raise ConfigError(
            explain(
                f"structures of head {head.name!r} cannot be labelled in a cache",
                got=f"the folder {path}",
                wanted="files with structures",
                fix="name the files that the cache was built from",
            )
        )


def choose_replay(
    data: PreparedData, config: FinetuneConfig, base: Potential
) -> tuple[PreparedData, list[Relevance]]:
    """Return the data with the chosen training frames of each old head, and reports.

    Nothing is chosen where nothing is replayed.

    Raises:
        ConfigError: a head without a relevant frame, or too few frames for its
            elements.
    """
    if config.replay_fraction == 0:
        return data, []
    fresh = {h.name for h in config.heads}
    new = JoinedFrames([h.train for h in data.heads if h.head.name in fresh])
    heads, reports = [], []
    for head in data.heads:
        if head.head.name in fresh:
            heads.append(head)
            continue
        chosen = select_frames(head.train, config.replay, new=new, potential=base)
        heads.append(dataclasses.replace(head, train=chosen))
        reports.append(
            report_relevance(
                chosen,
                new,
                config.replay,
                head=head.head.name,
                candidates=len(head.train),
                potential=base,
            )
        )
    return dataclasses.replace(data, heads=tuple(heads)), reports


def write_reports(reports: Sequence[Relevance], output: Path) -> None:
    """Write ``replay.json`` and ``replay.txt``, and show the text."""
    if not reports:
        return
    write_json(output / "replay.json", [report.to_dict() for report in reports])
    text = "\n".join(report.text() for report in reports)
    with atomic_path(output / "replay.txt") as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    info(text)
