"""What a run takes: against what an evaluation holds, and what cannot be asked."""

import json

import pytest

from lamplighter import cli
from lamplighter.errors import ConfigError
from lamplighter.lammps_interface import forecast as room
from lamplighter.lammps_interface.bundle import read
from lamplighter.lammps_interface.mliap import MliapModel


@pytest.mark.parametrize("kind", ["compiled32", "float64"])
def test_calibration(model, kind):
    found = room.calibrate(MliapModel(read(getattr(model, kind))), 0.1)
    seconds, own, neighbors = found
    assert 0.0 < seconds < 0.1
    assert own > 100.0
    # 4 pi / 3 r^3 times the density, less the atom itself
    assert neighbors == pytest.approx(26.8 - 1.0, abs=3.0)


def test_larger_systems_take_more(model, monkeypatch):
    small, large = (room.forecast(model.compiled64, n, 0.1) for n in (1000, 10**9))
    assert (small.bound, large.bound) == ("processor", "memory")
    assert large.bytes_total > large.bytes_available
    assert large.bytes_total > 1e5 * small.bytes_per_atom
    assert small.ns_per_day == pytest.approx(86400.0 / small.step_s * 1e-6)
    assert small.step_s == pytest.approx(1e-6 * small.us_per_atom * 1000)
    monkeypatch.setattr(room, "available_bytes", lambda: 1e12)
    shared = room.forecast(model.compiled64, 1000, 0.1, ranks=10)
    assert shared.bound.startswith("communication")
    assert shared.bytes_total > small.bytes_total


def test_ghosts():
    # a domain as wide as its shell has 3^3 - 1 of them around
    assert room.ghosts_of(100.0, 0.1, 10.0) == pytest.approx(2600.0)


@pytest.mark.parametrize(
    ("settings", "what"),
    [({"atoms": 0}, "atoms"), ({"density": -1.0}, "density"), ({"ranks": 0}, "ranks")],
)
def test_numbers_are_positive(model, settings, what):
    with pytest.raises(ConfigError, match=f"{what}; got"):
        room.forecast(model.compiled64, **({"atoms": 10, "density": 0.1} | settings))


def test_the_command(model, capsys):
    words = ["forecast", str(model.compiled32), "--atoms", "4000"]
    assert cli.run([*words, "--density", "0.09", "--ranks", "2"]) == 0
    text = capsys.readouterr().out
    assert "ns/day" in text
    assert "bound by: processor" in text
    assert cli.run([*words[:3], str(10**10), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["bound"] == "memory"
