"""Every block of the pages on surfaces, molecules and dynamics runs."""

import pytest
from doc_pages import code_blocks


def run_blocks(root, name):
    names = {}
    text = (root / "docs" / name).read_text("utf-8")
    for number, (language, block) in enumerate(code_blocks(text)):
        assert language == "python"
        exec(compile(block, f"docs/{name}, block {number}", "exec"), names)
    return names, text


@pytest.mark.slow
def test_the_page_on_surfaces_runs(root, capsys):
    names, text = run_blocks(root, "validation_surfaces.md")
    for name in ("planes", "hole", "oxygen", "joint"):
        assert names[name].status != "invalid", names[name].failed()
    assert sum(names["shape"].fractions.values()) == pytest.approx(1.0)
    assert "surface_energy_111" in capsys.readouterr().out
    settings = names["SurfacesSettings"]()
    assert f"more than {1000 * settings.max_slope_error:g} meV/atom" in text
    assert f"more than {settings.max_displacement:g} Å" in text
    assert f"differ by more than {100 * settings.max_change:g} %" in text


def test_the_page_on_molecules_runs(root, capsys):
    names, text = run_blocks(root, "validation_molecules.md")
    assert names["result"].status == "warn"
    assert names["adds_up"].status == "ok"
    assert names["pairs"].arrays["pairs"] == ["Cu-Cu", "Cu-Au", "Au-Au"]
    assert "-108.5343" in capsys.readouterr().out
    settings = names["DimersSettings"]()
    assert f"From {settings.closest:g} of the sum" in text
    assert f"{settings.n_points} points a pair" in text


@pytest.mark.slow
def test_the_page_on_dynamics_runs(root, capsys):
    names, text = run_blocks(root, "validation_dynamics.md")
    for name in ("drift", "warm", "modes"):
        assert names[name].status != "invalid", names[name].failed()
    assert "velocity Verlet, LAMMPS" in capsys.readouterr().out
    settings = names["NveSettings"]()
    steps = " and ".join(f"{step:g}" for step in settings.timesteps_fs)
    assert f"({steps} fs), {settings.temperature_K:g} K" in text
    assert f"{settings.duration_ps:g} ps, at least {settings.min_atoms} atoms" in text
