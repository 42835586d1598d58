"""Distances, angles, couplings: each function against another way to get it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from e3nn import o3

from lamplighter.model.angular import spherical_harmonics
from lamplighter.model.coupling import fingerprint, natural_paths, symmetric_basis
from lamplighter.model.product import SymmetricProduct
from lamplighter.model.radial import (
    agnesi,
    bessel_basis,
    polynomial_cutoff,
)
from lamplighter.model.radial_network import PairInput, SpeciesNetwork
from lamplighter.model.repulsion import zbl_pair_energy


def unit_vectors(n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    v = torch.randn(n, 3, dtype=torch.float64, generator=generator)
    return torch.nn.functional.normalize(v, dim=1)


@pytest.mark.parametrize("l_max", [0, 1, 2, 3])
def test_spherical_harmonics_are_those_of_e3nn(l_max: int) -> None:
    v = unit_vectors(20)
    expected = o3.spherical_harmonics(
        list(range(l_max + 1)), v, normalize=True, normalization="component"
    )
    torch.testing.assert_close(
        spherical_harmonics(v, l_max), expected, rtol=0, atol=1e-14
    )


def test_spherical_harmonics_of_no_pairs() -> None:
    assert spherical_harmonics(torch.empty(0, 3), 3).shape == (0, 16)


@pytest.mark.parametrize("power", [3, 5, 6])
def test_cutoff_and_two_derivatives_vanish(power: int) -> None:
    r = torch.tensor(3.999999, dtype=torch.float64, requires_grad=True)
    f = polynomial_cutoff(r, 4.0, power)
    (d1,) = torch.autograd.grad(f, r, create_graph=True)
    (d2,) = torch.autograd.grad(d1, r)
    assert abs(float(f.detach())) < 1e-12
    assert abs(float(d1.detach())) < 1e-9
    assert abs(float(d2)) < 1e-4
    assert polynomial_cutoff(torch.tensor([0.0]), 4.0, power) == 1.0
    assert torch.all(polynomial_cutoff(torch.tensor([4.0, 9.0]), 4.0, power) == 0.0)


def test_agnesi_is_the_formula_of_the_paper() -> None:
    r = torch.linspace(0.3, 6.0, 50, dtype=torch.float64)
    x = r / 1.3
    paper = 1 / (1 + 1.0805 * x**0.9183 / (1 + x ** (0.9183 - 4.5791)))
    contact = torch.full_like(r, 1.3)
    torch.testing.assert_close(agnesi(r, contact), paper, rtol=1e-14, atol=0)


def test_agnesi_has_no_pole_at_zero() -> None:
    r = torch.tensor([1e-8], dtype=torch.float64, requires_grad=True)
    s = agnesi(r, torch.ones(1, dtype=torch.float64))
    (slope,) = torch.autograd.grad(s.sum(), r)
    assert float(s.detach()) == pytest.approx(1.0)
    assert torch.isfinite(slope).all()


def test_bessel_values() -> None:
    s = torch.tensor([0.5, 2.0], dtype=torch.float64)
    basis = bessel_basis(s, 3, 5.0)
    for row, value in zip(basis, s.tolist(), strict=True):
        for n, number in enumerate(row.tolist(), start=1):
            expected = math.sqrt(2 / 5) * math.sin(n * math.pi * value / 5) / value
            assert number == pytest.approx(expected, rel=1e-14)


def test_split_first_layer_equals_the_concatenation() -> None:
    torch.manual_seed(0)
    network = SpeciesNetwork(4, 6, (8, 5), 3).double()
    basis = torch.randn(7, 4, dtype=torch.float64)
    source, target = torch.randn(2, 3, 6, dtype=torch.float64)
    j, i = torch.randint(0, 3, (2, 7))
    x = torch.cat([basis, source[j], target[i]], dim=1)
    x = x @ torch.cat([network.radial, network.source, network.target]) + network.bias
    for norm, linear in zip(network.norms, network.linears, strict=True):
        x = linear(torch.nn.functional.silu(norm(x)))
    torch.testing.assert_close(network(PairInput(basis, source, target, (j, i))), x)


def test_zbl_curve_of_two_atoms() -> None:
    r = torch.tensor([0.7, 1.2], dtype=torch.float64)
    z = (torch.full_like(r, 12.0), torch.full_like(r, 8.0))
    radii = torch.full_like(r, 2.07)
    a = 0.4543 * 0.529 / (12**0.3 + 8**0.3)
    for energy, d in zip(
        zbl_pair_energy(r, z, radii, 6).tolist(), r.tolist(), strict=True
    ):
        phi = sum(
            c * math.exp(-k * d / a)
            for c, k in zip(
                (0.1818, 0.5099, 0.2802, 0.02817),
                (3.2, 0.9423, 0.4028, 0.2016),
                strict=True,
            )
        )
        u = d / 2.07
        f_c = 1 - 28 * u**6 + 48 * u**7 - 21 * u**8
        assert energy == pytest.approx(0.5 * 14.3996 * 96 / d * phi * f_c, rel=1e-12)


def test_path_numbers_of_the_neighbour_sum() -> None:
    assert natural_paths(0, 3) == [(0, 0, 0), (0, 1, 1), (0, 2, 2), (0, 3, 3)]
    assert len(natural_paths(1, 3)) == 10


@pytest.mark.parametrize(("l_out", "numbers"), [(0, (1, 4, 8)), (1, (1, 3, 12))])
def test_path_numbers_of_the_product(l_out: int, numbers: tuple[int, ...]) -> None:
    """The numbers of docs/potential.md, which come from group characters."""
    found = tuple(len(symmetric_basis(3, l_out, n).matrix) for n in (1, 2, 3))
    assert found == numbers


@pytest.mark.parametrize("l_out", [0, 1, 2])
@pytest.mark.parametrize("power", [1, 2, 3])
def test_product_couplings_are_equivariant(l_out: int, power: int) -> None:
    basis = symmetric_basis(3, l_out, power)
    rng = np.random.default_rng(0)
    x = rng.normal(size=16)
    angles = torch.tensor([0.3, 1.1, -0.7], dtype=torch.float64)
    irreps = o3.Irreps("0e+1o+2e+3o")
    rotate = irreps.D_from_angles(*angles).numpy()
    turn = o3.Irreps(f"1x{l_out}e").D_from_angles(*angles).numpy()

    def value(y: np.ndarray) -> np.ndarray:
        return np.asarray(basis.matrix @ y[basis.monomials].prod(axis=1))

    # e3nn builds these rotation matrices from tables in single precision
    np.testing.assert_allclose(value(rotate @ x), value(x) @ turn.T, atol=1e-5)


def test_product_of_no_atoms() -> None:
    product = SymmetricProduct(4, 3, 1, 3).double()
    none = torch.empty(0, dtype=torch.int64)
    out = product(torch.empty(0, 16, 4, dtype=torch.float64), none)
    assert [tuple(p.shape) for p in out] == [(0, 1, 4), (0, 3, 4)]


def test_fingerprint_changes_with_the_shape() -> None:
    assert len(fingerprint(3, 1, 3)) != len(fingerprint(3, 1, 2))
    assert fingerprint(2, 1, 3) == fingerprint(2, 1, 3)
