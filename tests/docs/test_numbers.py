"""Figures of the README are those of the JSON that it links to."""

import json
import re
import statistics


def _json(root, name):
    return json.loads((root / "benchmarks" / "results" / name).read_text())


def test_times_of_a_step(root):
    text = (root / "README.md").read_text()
    names = {"mp0": "MP-0 medium", "mh1": "MH-1"}
    sides = ("mace", "symmetrix", "lamplighter", "lammps")
    found = 0
    for case in _json(root, "cpu_step.json")["cases"]:
        if case["dtype"] != "float32":
            continue
        (row,) = re.findall(
            rf"^\| {names[case['shape']]} \|(.*)\|$", text, re.MULTILINE
        )
        shown = [float(cell.split()[0]) for cell in row.split("|")]
        for side, number in zip(sides, shown, strict=True):
            wanted = case["sides"][side]["cpu_ms"]["median"]
            assert abs(number - wanted) < 0.006 * max(1.0, wanted), (side, wanted)
        found += 1
    assert found == 2


def test_the_largest_system(root):
    text = " ".join((root / "README.md").read_text().split())
    row = _json(root, "cpu_size.json")["rows"][-1]
    memory, time = f"{row['bytes'] / 2**30:.1f}", statistics.median(row["cpu_ms"])
    sentence = (
        f"{row['atoms']:,} atoms through LAMMPS took {memory} GiB and {time:.2f} ms"
    )
    assert sentence in text


def test_memory_and_evenness_of_the_largest_system(root):
    text = " ".join((root / "docs" / "compiled.md").read_text().split())
    result = _json(root, "cpu_size.json")
    small, *_, large = result["rows"]
    all_of_it, alone = (
        f"{result[key] / 1e3:.1f}"
        for key in ("bytes_per_atom", "bytes_per_atom_of_lammps")
    )
    assert f"{all_of_it} kB per atom, of which LAMMPS" in text
    assert f"with `pair_style zero` needs {alone}," in text
    time = f"{statistics.median(large['cpu_ms']):.2f} ms of CPU time per atom and step"
    assert f"{time}, {large['median_ratio']:.3f} of what 1000 atoms" in text
    assert f"64 atoms took {small['median_ratio']:.2f} of it" in text


def test_steps_of_training(root):
    ratios = [
        case["ratio"]["cpu"]["median"]
        for name in ("train_step", "train_step_mp0_wide", "train_step_mh1_wide")
        for case in _json(root, f"{name}.json")["cases"]
    ]
    text = " ".join((root / "README.md").read_text().split())
    assert f"{min(ratios):.1f} to {max(ratios):.1f} times less CPU time" in text
