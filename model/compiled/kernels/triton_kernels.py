"""Kernels for GPUs; import this only where Triton is installed.

A program of `sums` holds one atom and some channels, and walks over the neighbours: a
pair is never stored with its channels. Programs of `sums_back` hold one pair, those of
`features_back` one neighbour. All are started once for each coupling, whose sizes are
then known to the compiler. Programs of `added` hold one atom and some channels and walk
over monomials.

Rows and columns come in powers of two in Triton; what is too much is masked.
"""

# Arguments of kernels are pointers and numbers, and many.
# ruff: noqa: ANN001, ANN201, PLR0913, PLR0917

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def interpolated(
    table, weights, knots, pair, channel, mask, n_weights, begin, NUMBERS: tl.constexpr
):
    """Functions of the distance of one pair: a row of channels."""
    row = tl.load(knots + pair)
    base = table + row * n_weights + begin + channel
    total = tl.load(weights + pair * NUMBERS) * tl.load(base, mask=mask, other=0.0)
    for k in tl.static_range(1, NUMBERS):
        weight = tl.load(weights + pair * NUMBERS + k)
        total += weight * tl.load(base + k * n_weights, mask=mask, other=0.0)
    return total


@triton.jit
def sums(
    out,
    table,
    values,
    knots,
    turned,
    features,
    first,
    neighbors,
    edge,
    n_weights,
    begin,
    n_turns,
    turn,
    n_rows,
    row,
    n_features,
    feature,
    FIRST: tl.constexpr,
    N1: tl.constexpr,
    N3: tl.constexpr,
    P1: tl.constexpr,
    P3: tl.constexpr,
    NUMBERS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """out[atom, row + m3, c] = sum over pairs, m1 of T[m1, m3] R[c] u[m1, c]."""
    atom = tl.program_id(0)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = channel < edge
    m1, m3 = tl.arange(0, P1), tl.arange(0, P3)
    places = turn + m1[:, None] * N3 + m3[None, :]
    there = (m1[:, None] < N1) & (m3[None, :] < N3)
    total = tl.zeros([P3, BLOCK], dtype=out.dtype.element_ty)
    for pair in range(tl.load(first + atom), tl.load(first + atom + 1)):
        radial = interpolated(
            table, values, knots, pair, channel, mask, n_weights, begin, NUMBERS
        )
        t = tl.load(turned + pair * n_turns + places, mask=there, other=0.0)
        if FIRST:
            total += tl.sum(t, axis=0)[:, None] * radial[None, :]
        else:
            at = tl.load(neighbors + pair).to(tl.int64) * n_features + feature
            u = tl.load(
                features + (at + m1[:, None]) * edge + channel[None, :],
                mask=(m1[:, None] < N1) & mask[None, :],
                other=0.0,
            )
            sent = u * radial[None, :]
            total += tl.sum(t[:, :, None] * sent[:, None, :], axis=0)
    rows = (atom.to(tl.int64) * n_rows + row + m3[:, None]) * edge + channel[None, :]
    tl.store(out + rows, total, mask=(m3[:, None] < N3) & mask[None, :])


@triton.jit
def sums_back(
    dturned,
    dr,
    dfeatures,
    table,
    values,
    slopes,
    knots,
    turned,
    features,
    g,
    centers,
    neighbors,
    edge,
    n_weights,
    begin,
    n_turns,
    turn,
    n_rows,
    row,
    n_features,
    feature,
    FIRST: tl.constexpr,
    N1: tl.constexpr,
    N3: tl.constexpr,
    P1: tl.constexpr,
    P3: tl.constexpr,
    NUMBERS: tl.constexpr,
    BLOCK: tl.constexpr,
    ATOMIC: tl.constexpr,
):
    """What g gives back to T, to the distance and to the features of the neighbour.

    Neighbours are shared by pairs, so that their sums are atomic, and their rounding
    changes from run to run; without ATOMIC they are left to `features_back`.
    """
    pair = tl.program_id(0)
    m1, m3 = tl.arange(0, P1), tl.arange(0, P3)
    places = pair * n_turns + turn + m1[:, None] * N3 + m3[None, :]
    there = (m1[:, None] < N1) & (m3[None, :] < N3)
    t = tl.load(turned + places, mask=there, other=0.0)
    dt = tl.zeros([P1, P3], dtype=dturned.dtype.element_ty)
    along = tl.zeros([1], dtype=dturned.dtype.element_ty)
    center = tl.load(centers + pair).to(tl.int64) * n_rows + row
    at = tl.load(neighbors + pair).to(tl.int64) * n_features + feature
    for start in range(0, edge, BLOCK):
        channel = start + tl.arange(0, BLOCK)
        mask = channel < edge
        radial = interpolated(
            table, values, knots, pair, channel, mask, n_weights, begin, NUMBERS
        )
        slope = interpolated(
            table, slopes, knots, pair, channel, mask, n_weights, begin, NUMBERS
        )
        taken = tl.load(
            g + (center + m3[:, None]) * edge + channel[None, :],
            mask=(m3[:, None] < N3) & mask[None, :],
            other=0.0,
        )
        back = tl.sum(t[:, :, None] * taken[None, :, :], axis=1)
        if FIRST:
            sent = tl.where((m1[:, None] < N1) & mask[None, :], 1.0, 0.0).to(t.dtype)
        else:
            rows = (at + m1[:, None]) * edge + channel[None, :]
            known = (m1[:, None] < N1) & mask[None, :]
            sent = tl.load(features + rows, mask=known, other=0.0)
            if ATOMIC:
                tl.atomic_add(dfeatures + rows, radial[None, :] * back, mask=known)
        along += tl.sum(tl.sum(slope[None, :] * sent * back, axis=1), axis=0)
        weighted = sent * radial[None, :]
        dt += tl.sum(weighted[:, None, :] * taken[None, :, :], axis=2)
    tl.store(dturned + places, dt, mask=there)
    one = pair + tl.arange(0, 1)
    tl.store(dr + one, tl.load(dr + one) + along)


@triton.jit
def features_back(
    dfeatures,
    table,
    values,
    knots,
    turned,
    g,
    targets,
    first,
    order,
    centers,
    edge,
    n_weights,
    begin,
    n_turns,
    turn,
    n_rows,
    row,
    n_features,
    feature,
    N1: tl.constexpr,
    N3: tl.constexpr,
    P1: tl.constexpr,
    P3: tl.constexpr,
    NUMBERS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """What g gives back to the features of neighbours, always in the same order.

    A program holds one neighbour and some channels, and walks over the pairs that end
    there: the place in memory is its own.
    """
    target = tl.program_id(0)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = channel < edge
    m1, m3 = tl.arange(0, P1), tl.arange(0, P3)
    places = turn + m1[:, None] * N3 + m3[None, :]
    there = (m1[:, None] < N1) & (m3[None, :] < N3)
    total = tl.zeros([P1, BLOCK], dtype=dfeatures.dtype.element_ty)
    for k in range(tl.load(first + target), tl.load(first + target + 1)):
        pair = tl.load(order + k)
        radial = interpolated(
            table, values, knots, pair, channel, mask, n_weights, begin, NUMBERS
        )
        t = tl.load(turned + pair * n_turns + places, mask=there, other=0.0)
        center = tl.load(centers + pair).to(tl.int64) * n_rows + row
        taken = tl.load(
            g + (center + m3[:, None]) * edge + channel[None, :],
            mask=(m3[:, None] < N3) & mask[None, :],
            other=0.0,
        )
        back = tl.sum(t[:, :, None] * taken[None, :, :], axis=1)
        total += radial[None, :] * back
    at = tl.load(targets + target).to(tl.int64) * n_features + feature
    rows = (at + m1[:, None]) * edge + channel[None, :]
    known = (m1[:, None] < N1) & mask[None, :]
    before = tl.load(dfeatures + rows, mask=known, other=0.0)
    tl.store(dfeatures + rows, before + total, mask=known)


@triton.jit
def added(
    out,
    first,
    path,
    source,
    factors,
    values,
    weights,
    species,
    inputs,
    other,
    n_results,
    n_inputs,
    n_other,
    n_paths,
    channels,
    BY_SPECIES: tl.constexpr,
    SECOND: tl.constexpr,
    POWER: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """out[atom, k, c] = sum of terms: value * weight * other * product of inputs."""
    atom = tl.program_id(0).to(tl.int64)
    result = tl.program_id(1)
    channel = tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    mask = channel < channels
    kind = 0
    if BY_SPECIES:
        kind = tl.load(species + atom)
    total = tl.zeros([BLOCK], dtype=out.dtype.element_ty)
    for term in range(tl.load(first + result), tl.load(first + result + 1)):
        row = kind * n_paths + tl.load(path + term)
        product = tl.load(weights + row * channels + channel, mask=mask, other=0.0)
        product *= tl.load(values + term)
        if SECOND:
            at = (atom * n_other + tl.load(source + term)) * channels
            product *= tl.load(other + at + channel, mask=mask, other=0.0)
        for k in tl.static_range(POWER):
            factor = tl.load(factors + term * POWER + k)
            at = (atom * n_inputs + factor) * channels
            # a factor that is not there is one
            there = mask & (channel * 0 + factor >= 0)
            product *= tl.load(inputs + at + channel, mask=there, other=1.0)
        total += product
    at = (atom * n_results + result) * channels
    tl.store(out + at + channel, total, mask=mask)
