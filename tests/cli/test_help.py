"""Every command has help with an example that it accepts; the shell completes it."""

import shlex
import subprocess
import sys

import pytest

from lamplighter import cli
from lamplighter.cli.examples import EXAMPLES, commands, example_of, folded
from lamplighter.cli.main import GROUPS

COMMANDS = dict(commands(cli.app))


def test_every_command_is_walked() -> None:
    assert {"convert", "validate bulk", "validate refs show", "cite"} <= set(COMMANDS)
    assert len(COMMANDS) > 60
    assert not set(EXAMPLES) - set(COMMANDS), "examples of commands that are gone"


@pytest.mark.parametrize("words", COMMANDS)
def test_the_example_is_a_line_that_the_command_accepts(words: str) -> None:
    program, *tokens = shlex.split(example_of(words))
    assert program == "lamplighter"
    assert " ".join(tokens).startswith(words)
    command, _, _ = cli.app.parse_args(tokens, exit_on_error=False, print_error=False)
    assert "lamplighter" in command.__module__


@pytest.mark.parametrize("words", ["convert", "validate bulk", "heads", "cite"])
def test_help_ends_with_the_example(words: str, capsys) -> None:
    assert cli.run([*words.split(), "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"Example: {example_of(words)} Exit codes: 0 done" in out


@pytest.mark.parametrize("words", COMMANDS)
def test_no_terminal_breaks_an_example(words: str) -> None:
    rows = folded(example_of(words)).splitlines()
    assert max(map(len, rows)) <= 78
    joined = "\n".join(rows).replace("\\\n", "")  # as the shell does
    assert shlex.split(joined) == shlex.split(example_of(words))


def test_help_fills_lines_of_the_terminal(capsys) -> None:
    """Line breaks of docstrings are none of the help."""
    assert cli.run(["convert", "--help"]) == 0
    out = capsys.readouterr().out
    assert "committee: LAMMPS gets their mean" in " ".join(out.replace("│", "").split())
    assert "Several,\n" not in out.replace(" ", "").replace("│", "")
    assert "default: False" not in out


def test_help_of_all_commands_imports_no_group() -> None:
    """Groups of commands are imported when they are called: help comes at once."""
    code = (
        "import sys; from lamplighter.cli import run; run(['--help']);"
        " print(*sorted(sys.modules))"
    )
    words = [sys.executable, "-c", code]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    loaded = set(out.splitlines()[-1].split())
    assert "lamplighter.cli.main" in loaded
    groups = {f"lamplighter.cli.{name}" for name in GROUPS}
    heavy = {"torch", "ase", "numpy", "yaml", "lamplighter.validation"}
    assert not loaded & (groups | heavy)


def test_completion_knows_commands_and_options(tmp_path) -> None:
    script = tmp_path / "completion"
    command = ["--install-completion", "--shell", "bash", "-o", str(script)]
    assert cli.run(command) == 0
    text = script.read_text()
    assert "certify" in text
    assert "--elements" in text
    subprocess.run(["bash", "-n", str(script)], check=True)
