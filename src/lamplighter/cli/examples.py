"""An example for the help of every command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cyclopts import App

EXIT_CODES: Final = "Exit codes: 0 done, 1 a check failed, 2 bad input, 3 environment."

EXAMPLES: Final = {
    "certify": "certify mgo.pt --ranks 1 2 4 --json certificate.json",
    "cite": "cite tuned.safetensors in.lammps",
    "convert": "convert tuned.safetensors --head pbe --elements Mg O -o mgo.pt",
    "data": "data inspect labelled.xyz",
    "data cache": "data cache labelled.xyz more.aselmdb -o cache --cutoff 6",
    "data filter": "data filter labelled.xyz --max-force 50 -o kept.xyz",
    "data inspect": "data inspect labelled.xyz --head pbe",
    "data split": "data split labelled.xyz --validation 0.1 --test 0.1 -o parts",
    "data verify": "data verify cache",
    "demo": "demo -o demo-report",
    "doctor": "doctor --explain log.lammps",
    "evaluate": "evaluate tuned.safetensors test.xyz --html errors.html",
    "finetune": "finetune finetune.yaml",
    "forecast": "forecast mgo.pt --atoms 100000 --ranks 2",
    "heads": "heads list tuned.safetensors",
    "heads copy": "heads copy base.safetensors pbe mine -o new.safetensors",
    "heads describe": "heads describe a.safetensors pbe --level PBE -o b.safetensors",
    "heads drop": "heads drop tuned.safetensors rpbe r2scan -o small.safetensors",
    "heads list": "heads list tuned.safetensors",
    "heads rename": "heads rename tuned.safetensors mine pbesol -o tuned.safetensors",
    "heads renew": "heads renew base.safetensors pbe --seed 1 -o new.safetensors",
    "heads show": "heads show tuned.safetensors pbe",
    "import": "import mace-mh-1.model --heads heads.yaml -o mh1.safetensors",
    "inspect": "inspect mgo.pt",
    "lint": "lint in.lammps --model mgo.pt",
    "lmp": "lmp -in in.lammps",
    "presets": "presets replay",
    "replay": "replay label base.safetensors old.xyz --head pbe -o labels.xyz",
    "replay label": "replay label base.safetensors old.xyz --head pbe -o labels.xyz",
    "replay select": "replay select old.xyz --new mine.xyz -n 500 -o replay.xyz",
    "script": "script npt MgO.cif mgo.pt --temperature 600 -o run",
    "select": "select mh1.safetensors --heads pbe --elements Mg O -o small.safetensors",
    "train": "train train.yaml --preset pretrain",
    "validate": "validate run suite.yaml -o run",
    "validate benchmark": "validate benchmark tuned.safetensors --head pbe",
    "validate compare": "validate compare run-a run-b -o comparison.html",
    "validate list": "validate list",
    "validate merge": "validate merge part1 part2 -o whole",
    "validate model": "validate model tuned.safetensors --head pbe --elements Mg O",
    "validate parity": "validate parity tuned.safetensors --head pbe --quick",
    "validate refs": "validate refs show MgO",
    "validate refs add": (
        "validate refs add --from-phonopy phonopy.yaml --functional PBE -o mine.yaml"
    ),
    "validate refs check": "validate refs check mine.yaml",
    "validate refs show": "validate refs show MgO --quantity C44",
    "validate report": "validate report run --junit verdicts.xml",
    "validate run": "validate run suite.yaml -o run -j 2",
}
"""What follows the program's name, by command."""

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
    line = f"lamplighter {words} tuned.safetensors"
    if words in _MOLECULES:
        return f"{line} water.xyz --head pbe"
    if words in _OF_A_MODEL or words == "validate x23":
        return f"{line} --head pbe"
    return f"{line} MgO --head pbe --engine lammps"


def add_examples(app: App) -> None:
    """Put an example at the end of the help of every command."""
    for words, command in commands(app):
        command.help_epilogue = f"Example: {example_of(words)}\n\n{EXIT_CODES}"
