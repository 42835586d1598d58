"""Descriptors: what turns, what does not, and in which order."""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from lamplighter.errors import ConfigError
from lamplighter.model import Calculator, Potential, graph_from_atoms
from lamplighter.model.mace_import import import_mace


def _rotation(seed: int) -> np.ndarray:
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)


def test_invariant_descriptors(potential: Potential, molecule: Atoms) -> None:
    calculator = Calculator(potential, "pbe")
    config = potential.config
    found = calculator.get_descriptors(molecule)
    assert found.shape == (len(molecule), config.channels * config.n_layers)
    turned = molecule.copy()
    turned.positions = turned.positions @ _rotation(1).T + 0.3
    np.testing.assert_allclose(
        calculator.get_descriptors(turned), found, rtol=0, atol=1e-11
    )
    order = [2, 0, 3, 1]
    np.testing.assert_allclose(
        calculator.get_descriptors(molecule[order]), found[order], atol=1e-11
    )
    last = calculator.get_descriptors(molecule, layers=[1])
    np.testing.assert_allclose(last, found[:, config.channels :], atol=1e-13)


def test_all_components_as_descriptors(potential: Potential, molecule: Atoms) -> None:
    calculator = Calculator(potential, "pbe")
    c = potential.config.channels
    graph = graph_from_atoms(molecule, potential.config, "pbe")
    first = potential.node_features(graph)[0].detach().numpy()
    found = calculator.get_descriptors(molecule, invariants_only=False, layers=[0])
    assert found.shape == (len(molecule), 4 * c)
    for channel in range(c):
        np.testing.assert_allclose(found[:, channel], first[:, 0, channel], atol=1e-13)
        vector = found[:, c + 3 * channel : c + 3 * channel + 3]
        np.testing.assert_allclose(vector, first[:, 1:4, channel], atol=1e-13)
    # in e3nn 0.6's order and phase the three components turn like a vector
    R = _rotation(2)
    turned = molecule.copy()
    turned.positions = turned.positions @ R.T
    other = calculator.get_descriptors(turned, invariants_only=False, layers=[0])
    vectors = found[:, c:].reshape(-1, c, 3)
    np.testing.assert_allclose(
        other[:, c:].reshape(-1, c, 3), vectors @ R.T, atol=1e-11
    )


@pytest.mark.parametrize("layers", [[2], [-1], []])
def test_layers_that_do_not_exist(
    potential: Potential, molecule: Atoms, layers: list[int]
) -> None:
    with pytest.raises(ConfigError, match="no such layer"):
        Calculator(potential, "pbe").get_descriptors(molecule, layers=layers)


def test_descriptors_of_the_last_structure(
    potential: Potential, molecule: Atoms
) -> None:
    calculator = Calculator(potential, "pbe")
    with pytest.raises(ConfigError, match="no structure"):
        calculator.get_descriptors()
    molecule.calc = calculator
    molecule.get_potential_energy()
    np.testing.assert_allclose(
        calculator.get_descriptors(),
        calculator.get_descriptors(molecule),
        atol=1e-13,
    )


def test_invariants_are_those_of_mace_torch(tmp_path: Path) -> None:
    # get_descriptors of mace-torch 0.3.16 for the head "low" of this file
    wanted = [
        [-0.467710051562, -0.198673031873, 0.310429762961, 0.269870786316],
        [-0.303270326827, -0.449693741558, -0.474322491348, 0.199535991502],
        [-0.469928680238, -0.227269357583, 0.365358649493, 0.268832652867],
        [-0.290926645513, -0.399976912198, -0.39043277254, 0.162306284262],
        [-0.473786212402, -0.236694243376, 0.367708493698, 0.276797154451],
    ]
    packed = Path(__file__).parent / "mace_files" / "two_heads.model.xz"
    (tmp_path / "two.model").write_bytes(lzma.decompress(packed.read_bytes()))
    potential = import_mace(tmp_path / "two.model").potential
    atoms = Atoms(
        "HOHOH",
        [
            [0.2, -0.2, 1.0],
            [0.2, -0.9, 0.6],
            [2.1, 1.5, -1.1],
            [-2.0, -1.0, 0.1],
            [-3.7, -0.4, -2.0],
        ],
    )
    found = Calculator(potential, "low").get_descriptors(atoms)
    np.testing.assert_allclose(found, wanted, atol=1e-11)
