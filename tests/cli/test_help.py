"""Every command has help with an example that it accepts; the shell completes it."""

import shlex
import subprocess

import pytest

from lamplighter import cli
from lamplighter.cli.examples import EXAMPLES, commands, example_of

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


def test_completion_knows_commands_and_options(tmp_path) -> None:
    script = tmp_path / "completion"
    command = ["--install-completion", "--shell", "bash", "-o", str(script)]
    assert cli.run(command) == 0
    text = script.read_text()
    assert "certify" in text
    assert "--elements" in text
    subprocess.run(["bash", "-n", str(script)], check=True)
