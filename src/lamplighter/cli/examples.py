"""An example for the help of every command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cyclopts import App

EXIT_CODES: Final = "Exit codes: 0 done, 1 a check failed, 2 bad input, 3 environment."

_WIDTH: Final = 76

EXAMPLES: Final = {
    "certify": "certify mgo.pt --ranks 1 2 --json certificate.json",
    "cite": "cite model:base in.lammps",
    "convert": "convert model:base --head pbe --elements Mg O -o mgo.pt",
    "data": "data inspect dataset:crystal_pbe",
    "data cache": "data cache dataset:crystal_pbe -o cache --cutoff 6",
    "data filter": "data filter dataset:crystal_pbe --max-force 5 -o kept.xyz",
    "data inspect": "data inspect dataset:crystal_pbe",
    "data split": "data split dataset:crystal_pbe --test 0.1 -o parts",
    "data verify": "data verify cache",
    "demo": "demo -o demo-report",
    "doctor": "doctor --explain log.lammps",
    "evaluate": "evaluate model:base dataset:crystal_pbe --html errors.html",
    "finetune": "finetune finetune.yaml",
    "forecast": "forecast mgo.pt --atoms 100000 --ranks 2",
    "heads": "heads list model:base",
    "heads copy": "heads copy model:base pbe mine -o mine.safetensors",
    "heads describe": (
        "heads describe mine.safetensors mine --level PBE -o mine.safetensors"
    ),
    "heads drop": "heads drop model:base rpbe r2scan -o small.safetensors",
    "heads list": "heads list model:base",
    "heads rename": "heads rename mine.safetensors mine pbe2 -o renamed.safetensors",
    "heads renew": "heads renew mine.safetensors mine --seed 1 -o new.safetensors",
    "heads show": "heads show model:base pbe",
    "import": "import mace-mh-1.model -o mh1.safetensors",
    "inspect": "inspect model:base",
    "lint": "lint in.lammps --model mgo.pt",
    "lmp": "lmp -in in.lammps",
    "presets": "presets replay",
    "replay": "replay label model:base old.xyz --head pbe -o labels.xyz",
    "replay label": "replay label model:base old.xyz --head pbe -o labels.xyz",
    "replay select": (
        "replay select labels.xyz --new mine.xyz -n 5 --model model:base -o replay.xyz"
    ),
    "script": "script npt MgO.cif mgo.pt --temperature 600 -o run",
    "select": "select model:base --heads pbe --elements Mg O -o mgo.safetensors",
    "train": "train train.yaml",
    "validate": "validate run suite.yaml -o report",
    "validate benchmark": "validate benchmark model:base --head pbe",
    "validate compare": "validate compare report report-2 -o comparison.html",
    "validate list": "validate list",
    "validate merge": "validate merge part1 part2 -o whole",
    "validate model": "validate model model:base --head pbe --elements Mg O",
    "validate parity": "validate parity model:base --head pbe --quick",
    "validate refs": "validate refs show MgO",
    "validate refs add": (
        "validate refs add --from-csv table.csv --functional PBE -o mine.yaml"
    ),
    "validate refs check": "validate refs check mine.yaml",
    "validate refs show": "validate refs show MgO --quantity C44",
    "validate report": "validate report report --junit verdicts.xml",
    "validate run": "validate run suite.yaml -o report -j 2",
}
"""What follows the program's name, by command.

Most begin from what every installation has, so that they run when pasted; the others
name files that only the reader has.
"""

_MOLECULES: Final = ("validate extensivity", "validate molecule")
_OF_A_MODEL: Final = ("validate dbh24", "validate dimers", "validate s22")


def commands(app: App, path: tuple[str, ...] = ()) -> Iterator[tuple[str, App]]:
    """Yield every command below an app, groups of commands before their members.

    Args:
        app: where to begin.
        path: the words that lead to it.

    Yields:
        The words of the command, joined by spaces, and its app.
    """
    for name, command in app.resolved_commands().items():
        if name.startswith("-"):
            continue
        words = (*path, name)
        yield " ".join(words), command
        yield from commands(command, words)


def example_of(words: str) -> str:
    """Return a command line for a command.

    Args:
        words: the command, `validate bulk` say; a property has none of its own.
    """
    known = EXAMPLES.get(words)
    if known is not None:
        return f"lamplighter {known}"
    line = f"lamplighter {words} model:base"
    if words in _MOLECULES:
        return f"{line} water.xyz --head pbe"
    if words in _OF_A_MODEL or words == "validate x23":
        return f"{line} --head pbe"
    return f"{line} MgO --head pbe --engine lammps"


def add_examples(app: App, path: tuple[str, ...] = ()) -> None:
    """Put an example at the end of the help of every command below an app.

    Args:
        app: where to begin.
        path: the words that lead to it; a group gets an example of its own.
    """
    own = [(" ".join(path), app)] if path else []
    for words, command in [*own, *commands(app, path)]:
        command.help_epilogue = (
            f"Example:\n  {folded(example_of(words))}\n\n{EXIT_CODES}"
        )


def folded(line: str) -> str:
    """Return a command line in rows that a terminal of 80 columns does not break.

    Args:
        line: one command line.

    Returns:
        The line, or two that the shell takes for one.
    """
    if len(line) <= _WIDTH:
        return line
    cut = line.rindex(" -", 0, _WIDTH)
    return f"{line[:cut]} \\\n    {line[cut + 1 :]}"
