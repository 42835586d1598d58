// SPDX-License-Identifier: MIT
// The sums over the neighbours of one atom and their derivative. All that depends on the
// distance comes from tables, all that depends on the direction from harmonics.
#ifndef LAMPLIGHTER_NEIGHBORS_H
#define LAMPLIGHTER_NEIGHBORS_H

#include <algorithm>
#include <cmath>

#include "evaluation.h"
#include "harmonics.h"
#include "repulsion.h"

namespace lamplighter {

// (16)
template <typename Real>
Repulsion EvaluationOf<Real>::repel(int own, int other, double r) const {
  return repulsion(r, p_.charges[own], p_.charges[other], p_.radii[own] + p_.radii[other],
                   p_.cutoff_power);
}

// Calls `work` for bundles of the pairs of an atom that are within the cutoff, and
// `each(pair, r, repulsion)` for all of them where there is repulsion in this layer.
template <typename Real>
template <typename Repel, typename Work>
void EvaluationOf<Real>::by_bundles(const Task &task, int64_t atom, Repel each, Work work) {
  Bundle &bundle = task.work.bundle;
  bundle.n = 0;
  const int64_t end = atoms_.first[atom + 1];
  for (int64_t q = atoms_.first[atom]; q < end; ++q) {
    const double *v = atoms_.vectors + 3 * q;
    const double r = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    const int64_t neighbor = atoms_.neighbor[q];
    const int other = atoms_.species[neighbor];
    if (task.t == 0 && p_.zbl) each(q, r, repel(task.species, other, r));
    if (r < p_.cutoff) {
      const int64_t p = bundle.n++;
      bundle.pair[p] = q;
      bundle.neighbor[p] = neighbor;
      bundle.place[p] = p_.knots.place(r);
      const int64_t type = int64_t(task.species) * p_.n_species + other;
      bundle.place[p].knot += type * p_.knots.count;
      bundle.r[p] = r;
      for (int k = 0; k < 3; ++k) bundle.unit[k][p] = v[k] / r;
    }
    if (bundle.n == kPairs || (q + 1 == end && bundle.n > 0)) {
      harmonics(bundle.unit, p_.l_max, bundle.y);
      Real *t = task.work.turned.data();
      for (const Path<Real> &path : task.layer.paths)
        path.turn_harmonics(bundle.y, t + path.turn * kPairs);
      work(bundle);
      bundle.n = 0;
    }
  }
}

// (6), (7), (9): the neighbour sums of one atom, divided by their norm.
template <typename Real>
void EvaluationOf<Real>::sum_neighbors(const Task &task, int64_t atom, Real *sums) {
  const Layer &layer = task.layer;
  const int64_t n = layer.n_weights;
  const int order = p_.knots.order;
  std::fill_n(sums, layer.sum.size, Real(0));
  task.work.make_room(layer);
  Real *radial = task.work.radial.data();
  double rho = 0.0;
  const auto add = [&](const Bundle &bundle) {
    for (int64_t p = 0; p < bundle.n; ++p) {
      const Place &place = bundle.place[p];
      if (layer.has_density)
        for (int k = 0; k < 2 * order; ++k)
          rho += place.value[k] * layer.density[place.knot * order + k];
      interpolate(layer.radial.data() + place.knot * order * n, n, place, order, radial);
      const Real *u = task.t == 0 ? nullptr
                                  : task.shared.rows.data() +
                                        bundle.neighbor[p] * layer.edges.size;
      for (const Path<Real> &path : layer.paths)
        path.kernels.forward(layer.edge, task.work.turned.data() + path.turn * kPairs + p,
                             radial + path.begin, u + layer.edges.start[path.l1],
                             sums + layer.sum.start[path.l3] + path.column,
                             layer.sum.width[path.l3]);
    }
  };
  const auto repelled = [&](int64_t, double, const Repulsion &of) {
    energies_[atom] += p_.scale * of.value;
  };
  by_bundles(task, atom, repelled, add);
  const double inverse = 1.0 / (layer.alpha + layer.beta * rho);
  task.shared.inverse[atom] = inverse;
  const Real factor = Real(inverse);
  for (int64_t k = 0; k < layer.sum.size; k += kLanes<Real>) at(sums + k) *= factor;
}

// The derivative of `sum_neighbors`: to the pairs, and to the rows of the neighbours.
template <typename Real>
void EvaluationOf<Real>::neighbors_back(const Task &task, int64_t atom, double drho,
                                        const Real *dsums, Real *gradients) {
  task.work.make_room(task.layer);
  const auto back = [&](Bundle &bundle) {
    for (int64_t p = 0; p < bundle.n; ++p)
      pair_back(task, bundle, p, drho, dsums, gradients);
    directions_back(bundle);
  };
  const auto repelled = [&](int64_t q, double r, const Repulsion &of) {
    for (int k = 0; k < 3; ++k)
      pair_gradients_[3 * q + k] += p_.scale * of.slope * atoms_.vectors[3 * q + k] / r;
  };
  by_bundles(task, atom, repelled, back);
}

// One pair: to its distance and its harmonics, and to the row of the neighbour.
template <typename Real>
void EvaluationOf<Real>::pair_back(const Task &task, Bundle &bundle, int64_t p, double drho,
                                   const Real *dsums, Real *gradients) {
  constexpr int64_t lanes = kLanes<Real>;
  const Layer &layer = task.layer;
  const int64_t n = layer.n_weights, row = bundle.neighbor[p] * layer.edges.size;
  const int order = p_.knots.order, n_y = (p_.l_max + 1) * (p_.l_max + 1);
  const Place &place = bundle.place[p];
  Scratch &work = task.work;
  double dr = 0.0;
  if (layer.has_density)
    for (int k = 0; k < 2 * order; ++k)
      dr += drho * place.slope[k] * layer.density[place.knot * order + k];
  interpolate_both(layer.radial.data() + place.knot * order * n, n, place, order,
                   work.radial.data(), work.slope.data());
  Real *dy = work.dy.data(), *along = dy + n_y * lanes;  // partial sums
  std::fill_n(dy, (n_y + 1) * lanes, Real(0));
  const Real *u = task.t == 0 ? nullptr : task.shared.rows.data() + row;
  Real *du = task.t == 0 ? nullptr : gradients + row;
  for (const Path<Real> &path : layer.paths) {
    const int64_t start = layer.edges.start[path.l1];
    path.kernels.backward(layer.edge, work.turned.data() + path.turn * kPairs + p,
                          work.radial.data() + path.begin, work.slope.data() + path.begin,
                          u + start, dsums + layer.sum.start[path.l3] + path.column,
                          layer.sum.width[path.l3], du + start,
                          work.dt.data(), along);
    path.turn_back(work.dt.data(), dy);
  }
  bundle.dr[p] = dr + double(total<Real>(at(along)));
  for (int m = 1; m < n_y; ++m) bundle.dy[m][p] = double(total<Real>(at(dy + m * lanes)));
}

// From distances and harmonics of a bundle to the vectors of its pairs.
template <typename Real> void EvaluationOf<Real>::directions_back(const Bundle &bundle) {
  alignas(64) Vec<double> dn[3] = {Vec<double>{}, Vec<double>{}, Vec<double>{}};
  harmonics_back(bundle.unit, p_.l_max, bundle.dy, dn);
  const Vec<double> *e = bundle.unit;
  const Vec<double> along = e[0] * dn[0] + e[1] * dn[1] + e[2] * dn[2];
  for (int k = 0; k < 3; ++k) {
    const Vec<double> out = bundle.dr * e[k] + (dn[k] - along * e[k]) / bundle.r;
    for (int64_t p = 0; p < bundle.n; ++p)
      pair_gradients_[3 * bundle.pair[p] + k] += out[p];
  }
}

}  // namespace lamplighter
#endif
