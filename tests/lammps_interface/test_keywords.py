"""The words after FLAG in a pair_style command."""

import pytest

from lamplighter.errors import ConfigError
from lamplighter.lammps_interface.keywords import Keywords, parse


def test_no_words_ask_for_nothing():
    assert parse("") == parse("  ") == Keywords()


def test_all_keywords():
    words = "head r2scan charge -1.5 spin 2 device cuda:1 backend compiled check 100"
    found = parse(f"{words} native yes deterministic yes replace yes")
    assert found == Keywords(
        head="r2scan",
        conditions={"total_charge": -1.5, "total_spin": 2.0},
        device="cuda:1",
        backend="compiled",
        native=True,
        check=100,
        deterministic=True,
        replace=True,
    )
    assert not parse("replace no").replace
    assert not parse("deterministic no").deterministic
    assert parse("native no").native is False


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "heads pbe",
            "unknown keyword.*heads.*head, charge, spin, device, backend, native",
        ),
        ("head", "without a value.*head"),
        ("head pbe head scan", "given twice.*head"),
        ("check 0", "bad value.*check 0.*1 or more"),
        ("check often", "bad value.*check often"),
        ("check 2.5", "bad value.*check 2.5"),
        ("charge one", "bad value.*charge one.*total charge"),
        ("charge nan", "bad value.*charge nan"),
        ("spin inf", "bad value.*spin inf"),
        ("device gpu", "bad value.*device gpu.*cpu, cuda or cuda:N"),
        ("backend fast", "bad value.*backend fast.*reference or compiled"),
        ("device cuda:", "bad value.*device cuda:"),
        ("native maybe", "bad value.*native maybe.*yes or no"),
        ("deterministic maybe", "bad value.*deterministic maybe.*yes or no"),
        ("replace maybe", "bad value.*replace maybe.*yes or no"),
    ],
)
def test_what_is_refused(words, message):
    with pytest.raises(ConfigError, match=message):
        parse(words)
