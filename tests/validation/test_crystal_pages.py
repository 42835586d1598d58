"""Every block of the pages on elastic constants and phonons runs; their tables hold."""

import json
import re

import pytest
from doc_pages import code_blocks

ELASTIC, PHONONS = "validation_elastic.md", "validation_phonons.md"


def page(root, name):
    return (root / "docs" / name).read_text("utf-8")


def run_blocks(root, name):
    names = {}
    for number, (language, block) in enumerate(code_blocks(page(root, name))):
        assert language == "python"
        exec(compile(block, f"docs/{name}, block {number}", "exec"), names)
    return names


def test_the_page_on_elastic_constants_runs(root, capsys):
    names = run_blocks(root, ELASTIC)
    assert names["result"].status == names["morse"].status == "ok"
    values = names["morse"].values
    assert values["C12"].value == pytest.approx(values["C44"].value, rel=1e-3)
    shown = capsys.readouterr().out
    assert "debye_temperature" in shown
    assert "152.8" in shown


@pytest.mark.slow  # half a minute of phonons
def test_the_page_on_phonons_runs(root, capsys):
    names = run_blocks(root, PHONONS)
    for name in ("result", "modes", "heat", "bcc"):
        assert names[name].status == "ok", names[name].failed()
    assert "Im-3m -> P6_3/mmc" in capsys.readouterr().out


def rows(text, heading):
    section = text.split(heading)[1]
    return {
        match[1]: [cell.strip() for cell in match[2].split("|")]
        for match in re.finditer(
            r"^\| (Si|Cu|MgO|Mg)\b[^|]*\|(.*)\|$", section, re.MULTILINE
        )
    }


def test_the_tables_are_those_of_the_results(root):
    path = root / "benchmarks" / "results" / "crystals.json"
    stored = json.loads(path.read_text("utf-8"))["differences"]
    elastic = rows(page(root, ELASTIC), "## Beside matcalc")
    phonons = rows(page(root, PHONONS), "## Beside matcalc")
    assert set(elastic) == set(phonons) == set(stored)
    for name, row in stored.items():
        keys = ("elastic", "elastic_clamped", "elastic_defaults")
        for key, cell in zip(keys, elastic[name][1:], strict=True):
            assert float(cell.rstrip(" %")) == pytest.approx(
                100 * row[key], rel=0.05, abs=0.005
            )
        _, points, largest, highest, heat = phonons[name]
        assert int(points) == row["wave_vectors"]
        assert float(largest) == pytest.approx(row["frequency_THz"], rel=0.15, abs=5e-6)
        assert float(highest) == pytest.approx(row["frequency_highest_THz"], abs=0.01)
        assert float(heat.rstrip(" %")) == pytest.approx(
            100 * row["heat_capacity_300K"], rel=0.1
        )


def test_the_pages_name_limits_that_hold(root):
    from lamplighter.validation.properties.elastic import ElasticSettings
    from lamplighter.validation.properties.phonon import PhononSettings

    elastic, phonons = ElasticSettings(), PhononSettings()
    text = page(root, ELASTIC)
    assert (
        f"±{100 * elastic.strains[0]:g} % and ±{100 * elastic.strains[1]:g} %" in text
    )
    assert f"{elastic.max_residual_stress:g} GPa" in text
    text = page(root, PHONONS)
    assert f"displaced by {phonons.displacement:g} Å" in text
    assert f"-{phonons.imaginary:g} THz" in text
