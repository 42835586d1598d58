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

// A directed pair: its length and direction.
struct Pair {
  double r, unit[3];

  explicit Pair(const double *v) : r(std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])) {
    for (int k = 0; k < 3; ++k) unit[k] = v[k] / r;
  }
};

// (6), (7), (9): the neighbour sums of one atom, divided by their norm.
template <typename Real>
void EvaluationOf<Real>::sum_neighbors(const Task &task, int64_t atom, Real *sums) {
  const Layer &layer = task.layer;
  const int64_t n = layer.n_weights, edge = layer.edge;
  const int order = p_.knots.order;
  std::fill_n(sums, layer.sum.size, Real(0));
  task.work.radial.resize(n);
  Real *radial = task.work.radial.data();
  double rho = 0.0, y[16];
  Real turned[49];
  for (int64_t q = atoms_.first[atom]; q < atoms_.first[atom + 1]; ++q) {
    const Pair pair(atoms_.vectors + 3 * q);
    const int64_t neighbor = atoms_.neighbor[q];
    const int other = atoms_.species[neighbor];
    if (task.t == 0 && p_.zbl)
      energies_[atom] +=
          p_.scale * repulsion(pair.r, p_.charges[task.species], p_.charges[other],
                               p_.radii[task.species] + p_.radii[other], p_.cutoff_power)
                         .value;
    if (pair.r >= p_.cutoff) continue;
    const Place at_r = p_.knots.place(pair.r);
    const int64_t type = int64_t(task.species) * p_.n_species + other;
    const int64_t knot = type * p_.knots.count + at_r.knot;
    harmonics(pair.unit, p_.l_max, y);
    if (layer.has_density)
      for (int k = 0; k < 2 * order; ++k)
        rho += at_r.value[k] * layer.density[knot * order + k];
    interpolate(layer.radial.data() + knot * order * n, n, at_r.value, 2 * order, radial);
    const Real *u =
        task.t == 0 ? nullptr : task.shared.rows.data() + neighbor * layer.edges.size;
    for (size_t k = 0; k < layer.paths.size(); ++k) {
      const Path &path = layer.paths[k];
      angular<Real>(path, y, turned);
      Real *a = sums + layer.sum.start[path.l3] + path.column;
      const int64_t stride = layer.sum.width[path.l3];
      if (task.t == 0)
        add_species(path.l3, edge, turned, radial + path.begin, a, stride);
      else
        layer.kernels[k].forward(edge, turned, radial + path.begin,
                                 u + layer.edges.start[path.l1], a, stride);
    }
  }
  const double inverse = 1.0 / (layer.alpha + layer.beta * rho);
  task.shared.inverse[atom] = inverse;
  const Real factor = Real(inverse);
  for (int64_t k = 0; k < layer.sum.size; k += kLanes<Real>) at(sums + k) *= factor;
}

// The derivative of `sum_neighbors`: to the pairs, and to the rows of the neighbours.
template <typename Real>
void EvaluationOf<Real>::neighbors_back(const Task &task, int64_t atom, double drho,
                                        const Real *dsums, Real *gradients) {
  const Layer &layer = task.layer;
  const int64_t n = layer.n_weights, edge = layer.edge, width = layer.edges.size;
  const int order = p_.knots.order;
  task.work.radial.resize(n);
  task.work.slope.resize(n);
  Real *radial = task.work.radial.data(), *slope = task.work.slope.data();
  double y[16];
  Real turned[49];
  for (int64_t q = atoms_.first[atom]; q < atoms_.first[atom + 1]; ++q) {
    const Pair pair(atoms_.vectors + 3 * q);
    const int64_t neighbor = atoms_.neighbor[q];
    const int other = atoms_.species[neighbor];
    double dr = 0.0, dy[16] = {0.0};
    if (task.t == 0 && p_.zbl)
      dr += p_.scale * repulsion(pair.r, p_.charges[task.species], p_.charges[other],
                                 p_.radii[task.species] + p_.radii[other],
                                 p_.cutoff_power)
                           .slope;
    if (pair.r < p_.cutoff) {
      const Place at_r = p_.knots.place(pair.r);
      const int64_t type = int64_t(task.species) * p_.n_species + other;
      const int64_t knot = type * p_.knots.count + at_r.knot;
      harmonics(pair.unit, p_.l_max, y);
      if (layer.has_density)
        for (int k = 0; k < 2 * order; ++k)
          dr += drho * at_r.slope[k] * layer.density[knot * order + k];
      const Real *table = layer.radial.data() + knot * order * n;
      interpolate(table, n, at_r.value, 2 * order, radial);
      interpolate(table, n, at_r.slope, 2 * order, slope);
      for (size_t k = 0; k < layer.paths.size(); ++k) {
        const Path &path = layer.paths[k];
        angular<Real>(path, y, turned);
        const Real *g = dsums + layer.sum.start[path.l3] + path.column;
        const Real *r = radial + path.begin, *s = slope + path.begin;
        const int64_t stride = layer.sum.width[path.l3];
        const int64_t row = neighbor * width + layer.edges.start[path.l1];
        double dt[49] = {0.0};
        if (task.t == 0)
          add_species_back(path.l3, edge, turned, r, s, g, stride, dt, &dr);
        else
          layer.kernels[k].backward(edge, turned, r, s, task.shared.rows.data() + row, g,
                                    stride, gradients + row, dt, &dr);
        angular_back(path, dt, dy);
      }
    }
    double dn[3] = {0.0, 0.0, 0.0};
    harmonics_back(pair.unit, p_.l_max, dy, dn);
    const double *e = pair.unit;
    const double along = e[0] * dn[0] + e[1] * dn[1] + e[2] * dn[2];
    double *out = pair_gradients_.data() + 3 * q;
    for (int k = 0; k < 3; ++k) out[k] += dr * e[k] + (dn[k] - along * e[k]) / pair.r;
  }
}

}  // namespace lamplighter
#endif
