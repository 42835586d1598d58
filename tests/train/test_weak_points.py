"""Seventeen weak points of multi-head training elsewhere, each shown to be absent.

The table names the tests that show it; the first test checks that they exist and run.
What is short to show is shown here.
"""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from lamplighter.errors import ConfigError
from lamplighter.model import Calculator, evaluate, load_potential
from lamplighter.resources import dataset, dataset_folder
from lamplighter.train.config import LossSettings, OptimizerSettings, RunSettings
from lamplighter.train.new_heads import fit_new_head
from lamplighter.train.prepare import resolve

HERE = "train/test_weak_points.py"
LOSS = "train/test_loss_terms.py"
HEADS = "model/test_head_rows.py"
REFERENCES = "train/test_reference_sources.py"
POST = "train/test_post_training.py"
CHOICE = "train/test_replay_selection.py"
LABELS = "train/test_pseudolabels.py"
LORA = "train/test_lora.py"
IMPORT = "model/test_mace_import.py"
DEPLOYED = "lammps_interface/deployed"

WEAK_POINTS = {
    "1: weights of heads and configurations do nothing, or sit inside the Huber": (
        f"{LOSS}::test_doubling_a_global_weight_doubles_its_gradient",
        f"{LOSS}::test_doubling_a_weight_of_a_head_doubles_its_property",
        f"{LOSS}::test_weights_of_head_frame_and_config_type_count_for_every_term",
        f"{LOSS}::test_the_weight_of_one_frame_is_that_of_its_part_of_the_gradient",
        "train/test_loss.py::test_terms_equal_their_formulas",
    ),
    "2: names of replay sets all mean the same file": (
        f"{HERE}::test_every_name_of_a_data_set_is_a_file_of_its_own",
    ),
    "3: a user's replay file is taken whole, whatever was asked for": (
        f"{CHOICE}::test_only_relevant_frames_are_candidates",
        f"{CHOICE}::test_every_element_is_covered_those_of_the_new_data_first",
        f"{POST}::test_the_choice_of_replay_is_written",
        "cli/test_replay.py::test_label_then_select",
    ),
    "4: replay silently off; another head taken; absent elements have E0 = 0": (
        "train/test_finetune.py::test_contradictions_are_refused",
        f"{HERE}::test_no_head_is_taken_that_was_not_named",
        f"{HEADS}::test_what_is_unknown_is_refused",
        f"{HEADS}::test_an_element_that_a_head_lacks_never_has_the_energy_zero",
        f"{REFERENCES}::test_an_element_that_no_source_knows_is_refused",
        f"{IMPORT}::test_heads_without_training_are_noted",
    ),
    "5: fine-tuning starts from the same head whatever head was named": (
        f"{HERE}::test_the_head_that_a_new_one_starts_from_makes_a_difference",
        "train/test_finetune.py::test_a_new_head_starts_where_its_parent_is",
    ),
    "6: heads are lost when one is added": (
        f"{HEADS}::test_a_seventh_head_leaves_the_six_to_the_bit",
        f"{HEADS}::test_the_number_of_heads_changes_no_bit",
        f"{POST}::test_a_seventh_head_leaves_the_six_bit_identical_at_the_start",
        f"{POST}::test_a_seventh_head_is_trained_while_the_six_are_replayed",
    ),
    "7: the last head alone chooses the weights; drift stops nothing": (
        f"{POST}::test_the_rule_that_chooses_weights_names_heads",
        f"{POST}::test_the_guard_stops_and_rolls_back",
        f"{POST}::test_what_comes_back_are_the_accepted_weights",
        "train/test_finetune.py::test_the_guard_refuses_drift",
    ),
    "8: balance only by copies of data; no mask of a property for a head": (
        "train/test_sampler.py::test_quotas_set_the_shares",
        "train/test_sampler.py::test_temperature_moves_towards_equal_shares",
        "train/test_sampler.py::test_batches_cost_the_same",
        f"{LOSS}::test_a_property_that_a_head_does_not_learn_is_nowhere",
    ),
    "9: absent elements swamp the distances; the choice falls back or is filled up": (
        f"{CHOICE}::test_an_absent_element_counts_a_bounded_term",
        f"{CHOICE}::test_distances_are_free_of_scales",
        f"{CHOICE}::test_a_cover_that_is_impossible_is_refused",
        f"{CHOICE}::test_nothing_relevant_is_an_error_and_nothing_is_filled_up",
        f"{CHOICE}::test_the_report_counts_what_is_relevant",
    ),
    "10: pseudolabels mixed with old labels, made by every process, without origin": (
        f"{LABELS}::test_a_failing_frame_fails_all_and_is_named",
        f"{LABELS}::test_two_processes_compute_once",
        f"{LABELS}::test_another_fingerprint_is_refused",
        f"{LABELS}::test_another_version_of_the_code_is_refused",
        f"{LABELS}::test_a_changed_file_is_not_used",
    ),
    "11: E0 by minimum norm with a warning, one structure at a time": (
        "train/test_references.py::test_undetermined_elements_are_named",
        f"{REFERENCES}::test_compositions_that_are_not_independent_are_named_in_words",
        f"{REFERENCES}::test_interaction_energies_of_many_equal_those_of_each",
        f"{REFERENCES}::test_frames_become_equations_in_parts",
    ),
    "12: LoRA misses weights, and its merging can be lost": (
        f"{LORA}::test_every_linear_map_of_the_trunk_is_changed",
        f"{LORA}::test_every_moving_weight_gets_a_gradient",
        f"{LORA}::test_merged_equals_unmerged_and_is_an_ordinary_model",
        f"{LORA}::test_the_changed_trunk_is_equivariant",
        f"{POST}::test_low_rank_changes_end_as_an_ordinary_model",
    ),
    "13: MACE-MH-1 cannot be rebuilt from its own file": (
        f"{IMPORT}::test_a_file_without_the_attribute_of_the_first_layer",
        "oracle/test_import.py::test_numbers_are_those_of_mace_torch",
        "oracle/test_import.py::test_weights_are_counted",
        f"{HEADS}::test_a_seventh_head_leaves_the_six_to_the_bit",
    ),
    "14: accelerated kernels give wrong energies": (
        "model/test_mace_cueq.py::test_the_kernels_hold_the_weights_of_the_original",
        "model/test_mace_cueq.py::test_no_kernel_is_left",
        f"{DEPLOYED}/test_convert.py::test_self_check_is_recorded",
        f"{DEPLOYED}/test_convert.py::test_disagreement_writes_no_file",
    ),
    "15: MACE-MH-1 does not run in LAMMPS; its head is asked for": (
        f"{DEPLOYED}/test_imported.py::test_one_and_two_ranks_equal_ase",
        f"{DEPLOYED}/test_foreign.py::test_one_and_two_ranks_equal_mace_torch",
        f"{DEPLOYED}/test_mliap.py::test_always_the_same_number_of_exchanges",
        f"{DEPLOYED}/test_convert.py::test_bad_request",
    ),
    "16: restarts, fine-tuning what was fine-tuned, several processes, memory": (
        "train/test_kills.py::test_a_few_kills",
        "train/test_kills.py::test_a_hundred_kills",
        "train/test_finetune.py::test_an_interrupted_post_training_resumes",
        f"{POST}::test_a_fine_tuned_model_is_fine_tuned_again",
        "train/test_ranks.py::test_two_processes_take_the_steps_of_one",
        "train/test_sampler.py::test_no_batch_exceeds_the_pairs",
        "model/test_edge_chunks.py::test_chunks_change_nothing",
        "model/test_edge_chunks.py::test_values_between_are_not_kept",
    ),
    "17: settings of the user are overridden": (
        f"{HERE}::test_a_section_that_is_given_is_what_is_used",
        f"{HERE}::test_post_training_forces_nothing",
        "train/test_presets.py::test_own_values_win_and_the_rest_of_a_section_stays",
        "train/test_presets.py::test_a_preset_changes_nothing_that_a_file_sets",
        "train/test_presets.py::test_effective_values_are_shown_with_their_origin",
    ),
}


def functions_of(file: Path) -> dict[str, ast.FunctionDef]:
    """The tests of a file by name, with those in classes."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {
        node.name: node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize("point", WEAK_POINTS)
def test_every_weak_point_has_tests_that_run(root, point):
    for place in WEAK_POINTS[point]:
        name, _, test = place.partition("::")
        found = functions_of(root / "tests" / name)
        assert test in found, place
        marks = [ast.unparse(mark) for mark in found[test].decorator_list]
        assert not [m for m in marks if "xfail" in m or "mark.skip(" in m], place


def test_the_list_is_complete():
    numbers = [int(point.partition(":")[0]) for point in WEAK_POINTS]
    assert numbers == list(range(1, 18))


def test_every_name_of_a_data_set_is_a_file_of_its_own():
    names = [p.name.removesuffix(".xyz.gz") for p in dataset_folder().glob("*.xyz.gz")]
    files = {resolve(Path(f"dataset:{name}")) for name in names}
    assert len(files) == len(names) > 5
    assert all(resolve(Path(f"dataset:{n}")) == dataset(n) for n in names)
    with pytest.raises(ConfigError, match=r"(?s)unknown data set.*omat.*crystal_pbe"):
        resolve(Path("dataset:omat"))


@pytest.mark.parametrize("head", [None, "PBE", "", "last"])
def test_no_head_is_taken_that_was_not_named(base, head):
    with pytest.raises(ConfigError, match="one of 'pbe', 'hot'"):
        Calculator(base, head)


def test_the_head_that_a_new_one_starts_from_makes_a_difference(base, data_file):
    from lamplighter.model.head_rows import add_heads
    from lamplighter.train import NewHead, read_frames

    potential = load_potential(base)
    path = data_file(n=2)
    atoms = [f.atoms() for f in read_frames(path)[2:]]
    forces = []
    for start in ("pbe", "hot"):
        new = NewHead(name="new", level="NEW", files=(path,), start_from=start)
        fitted = fit_new_head(new, read_frames(path), potential)
        larger = add_heads(potential, [(fitted.spec, start)])
        found = [e.forces for e in evaluate(larger, atoms, "new")]
        parent = [e.forces for e in evaluate(potential, atoms, start)]
        for a, b in zip(found, parent, strict=True):
            np.testing.assert_array_equal(a, b)
        forces.append(np.concatenate(found))
    assert np.abs(forces[0] - forces[1]).max() > 1e-3


def test_a_section_that_is_given_is_what_is_used(tiny_config):
    """Nothing between the settings and the run has an opinion of its own."""
    import dataclasses

    from lamplighter.train.prepare import prepare
    from lamplighter.train.training import build_job

    config = dataclasses.replace(
        tiny_config,
        loss=LossSettings(energy_weight=3.0, forces_weight=7.0, forces_delta=0.5),
        optimizer=OptimizerSettings(learning_rate=0.123, ema_decay=0.5, clip_norm=3.0),
        run=RunSettings(max_steps=7, dtype="float64", seed=99),
    )
    job, _ = build_job(config, prepare(config.heads, config.split, config.limits))
    assert (job.loss, job.optimizer, job.run) == (
        config.loss,
        config.optimizer,
        config.run,
    )


def test_post_training_forces_nothing(base, base_config, data_file, tmp_path):
    """Rates, averages and losses of a post-training are those of the user."""
    import dataclasses
    import importlib

    from lamplighter.train import FinetuneConfig, NewHead

    module = importlib.import_module("lamplighter.train.finetune")
    new = data_file("new.xyz", head="new", level="NEW", n=3)
    config = FinetuneConfig(
        base=base,
        output=tmp_path / "tuned",
        heads=(NewHead(name="new", level="NEW", files=(new,), start_from="hot"),),
        replay_heads=base_config.heads,
        loss=LossSettings(energy_weight=3.0, forces_weight=7.0, forces_kind="mse"),
        optimizer=OptimizerSettings(learning_rate=0.123, ema_decay=0.5, clip_norm=3.0),
        run=dataclasses.replace(base_config.run, max_steps=7, seed=99),
    )
    start = module._start(config, load_potential(base), config.replay_heads)
    job = module._job(config, start, "0" * 64)
    assert (job.loss, job.optimizer, job.run, job.sampling) == (
        config.loss,
        config.optimizer,
        config.run,
        config.sampling,
    )
    assert job.quotas == pytest.approx({"pbe": 0.25, "hot": 0.25, "new": 0.5})
