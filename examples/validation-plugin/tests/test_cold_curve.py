"""The property by itself, with a classical potential: no suite, no network."""

import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from lamplighter_cold_curve import COLD_CURVE, ColdCurveSettings, run

from lamplighter.errors import ConfigError
from lamplighter.validation.engines import AseEngine


def test_compression_costs_half_nine_b_strain_squared() -> None:
    copper = bulk("Cu", a=3.59)
    result = run(copper, AseEngine(EMT()), ColdCurveSettings(strain=0.001))
    cost = result.values["compression_energy"].value
    volume = copper.get_volume()
    # E = 9/2 B V ε²; EMT's bulk modulus of copper is 134 GPa = 0.84 eV/Å^3.
    assert cost == pytest.approx(4.5 * 0.84 * volume * 0.001**2, rel=0.1)


def test_a_crystal_under_tension_is_no_minimum() -> None:
    result = COLD_CURVE.run(bulk("Cu", a=3.9), AseEngine(EMT()), ColdCurveSettings())
    assert result.status == "invalid"
    assert not result.values


def test_an_expansion_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"cold_curve: strain; got: -0\.1"):
        ColdCurveSettings(strain=-0.1)
