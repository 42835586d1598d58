"""One place turns errors into exit codes and two lines on standard error."""

import re
from pathlib import Path

import cyclopts
import pytest

from lamplighter import cli
from lamplighter.errors import (
    ArtifactError,
    CheckFailedError,
    ConfigError,
    DataError,
    EngineError,
    LamplighterError,
    OptionalDependencyError,
    UnsupportedModelError,
    explain,
)


def _run_raising(
    monkeypatch: pytest.MonkeyPatch, error: BaseException | int | None
) -> int:
    """The exit code of a command that raises or returns `error`."""
    app = cyclopts.App(suppress_keyboard_interrupt=False)

    @app.command
    def work() -> int | None:
        if isinstance(error, BaseException):
            raise error
        return error

    monkeypatch.setattr("lamplighter.cli.main.app", app)
    return cli.run(["work"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LamplighterError, 1),
        (CheckFailedError, 1),
        (ConfigError, 2),
        (DataError, 2),
        (ArtifactError, 2),
        (UnsupportedModelError, 2),
        (EngineError, 3),
        (OptionalDependencyError, 3),
    ],
)
def test_each_error_has_its_code_and_two_lines(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    error: type[LamplighterError],
    code: int,
) -> None:
    message = explain(
        "unknown head", got="'pbe0'", wanted="'pbe'", fix="use --head pbe"
    )
    assert _run_raising(monkeypatch, error(message)) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "error: unknown head; got: 'pbe0'; wanted: 'pbe'",
        "fix: use --head pbe",
    ]


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1), (3, 3)])
def test_a_command_may_return_its_code(
    monkeypatch: pytest.MonkeyPatch, returned: int | None, code: int
) -> None:
    assert _run_raising(monkeypatch, returned) == code


def test_a_missing_file_is_bad_input(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    error = FileNotFoundError(2, "No such file or directory", "absent.yaml")
    assert _run_raising(monkeypatch, error) == 2
    assert capfd.readouterr().err.startswith("error: absent.yaml: No such file")


def test_interruption_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert _run_raising(monkeypatch, KeyboardInterrupt()) == 130
    err = capfd.readouterr().err
    assert err.startswith("interrupted")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("error", [ZeroDivisionError("a\nb"), OSError("no file named")])
def test_an_unexpected_error_names_the_file_with_its_traceback(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    error: Exception,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert _run_raising(monkeypatch, error) == 70
    err = capfd.readouterr().err
    assert err.startswith(f"error: unexpected {type(error).__name__}: ")
    assert len(err.splitlines()) == 2
    (written,) = tmp_path.iterdir()
    assert str(written) in err
    assert re.search(r"in work\n", written.read_text())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fortran"], 'Unknown command "fortran"'),
        (["train"], "CONFIG"),
        (["convert", "model.safetensors", "--head", "pbe"], "--elements"),
        (
            [
                "convert",
                "m",
                "--head",
                "a",
                "--elements",
                "H",
                "-o",
                "x",
                "--dtype",
                "float16",
            ],
            "float16",
        ),
        (["inspect", "--speed", "file"], "--speed"),
    ],
)
def test_a_wrong_command_line_is_bad_input(
    capfd: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert cli.run(words) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err
    assert "--help" in err
    assert len(err.splitlines()) == 2
