// SPDX-License-Identifier: MIT
// The backward pass of a block of atoms: each function is the derivative of one or two of
// forward.h, in the opposite order.
#ifndef LAMPLIGHTER_BACKWARD_H
#define LAMPLIGHTER_BACKWARD_H

#include <algorithm>

#include "activation.h"
#include "evaluation.h"

namespace lamplighter {

// (8), (15): to the uses of the features of this layer. What later layers give back, and
// zeros elsewhere, are there already.
template <typename Real> void EvaluationOf<Real>::project_back(const Task &task) {
  const Layer &layer = task.layer;
  const Field uses = kept(task.state.uses, layer.uses.layout, task);
  const Field back = kept(task.state.back, layer.uses.layout, task);
  if (task.t + 1 == p_.n_layers) {
    for (int64_t k = 0; k < task.n; ++k) std::fill_n(back[k], back.layout.size, Real(0));
  } else {
    const Layer &next = p_.layers[task.t + 1];
    const Field gradients = by_atom(shared_[task.t + 1].gradients, next.edges, task);
    for (int l = 0; l <= next.l_edge; ++l)
      for (int64_t k = 0; k < task.n; ++k)
        for (int m = 0; m < 2 * l + 1; ++m)
          std::copy_n(gradients.row(k, l, m), next.edge,
                      back.row(k, l, m) + layer.uses.edges[l]);
  }
  for (int64_t k = 0; k < task.n; ++k) read_out(task, uses[k], back[k]);
}

// (14): what the layer before is given through the skip.
template <typename Real> void EvaluationOf<Real>::skip_back(const Task &task) {
  if (task.t == 0) return;
  const Uses &last = p_.layers[task.t - 1].uses;
  const Field back = kept(task.state.back, task.layer.uses.layout, task);
  const Field before = by_atom(layers_[task.t - 1].back, last.layout, task);
  for (int64_t k = 0; k < task.n; ++k) std::fill_n(before[k], last.layout.size, Real(0));
  for (int l = 0; l <= std::min(task.layer.l_in, task.layer.l_out); ++l)
    if (last.has_later(l))
      for (int64_t k = 0; k < task.n; ++k)
        for (int m = 0; m < 2 * l + 1; ++m)
          std::copy_n(back.row(k, l, m), task.layer.uses.layout.width[l],
                      before.row(k, l, m) + last.later[l]);
}

// (14), (13): to the input of the product.
template <typename Real> void EvaluationOf<Real>::update_back(const Task &task) {
  const Layer &layer = task.layer;
  const int64_t c = p_.channels;
  const Field back = kept(task.state.back, layer.uses.layout, task);
  const Field product = passing(task.work.product, layer.product);
  for (int l = 0; l <= layer.l_out; ++l)
    apply(task, l, back, layer.update[l].backward(task.species), product, false);
  const Field nodes = kept(task.state.nodes, p_.nodes, task);
  const Field dnodes = passing(task.work.dnodes, p_.nodes);
  const Real *b[kBlock], *dp[kBlock];
  Real *db[kBlock];
  for (int64_t k = 0; k < task.n; ++k) b[k] = nodes[k], dp[k] = product[k], db[k] = dnodes[k];
  Product<Real>(layer.program, c, layer.weights_of(task.species, c), task.work.program)
      .backward(task.n, b, dp, db);
}

// (12), (11)
template <typename Real> void EvaluationOf<Real>::gate_and_mix_back(const Task &task) {
  const Layer &layer = task.layer;
  const Field dnodes = passing(task.work.dnodes, p_.nodes);
  const Field dgated = passing(task.work.gated, p_.nodes);
  const Field message = kept(task.state.message, layer.message, task);
  const Field back = passing(task.work.message, layer.message);
  for (int l = 0; l <= p_.l_max; ++l)
    apply(task, l, dnodes, layer.mix[l].backward(task.species), dgated, false);
  for (int64_t k = 0; k < task.n; ++k)
    gate_back(message[k], p_.l_max, p_.channels, dgated[k], back[k]);
}

template <typename Real>
typename EvaluationOf<Real>::Field EvaluationOf<Real>::dmessage(const Task &task) const {
  return task.layer.gated ? passing(task.work.message, task.layer.message)
                          : passing(task.work.dnodes, p_.nodes);
}

// (7): dE/drho. The message without its residual is inversely as the norm. The last layer
// has the sums at hand, and does without: see sums_back.
template <typename Real> void EvaluationOf<Real>::norm_back(const Task &task) {
  const Layer &layer = task.layer;
  std::vector<double> &drho = task.work.drho;
  drho.assign(task.n, 0.0);
  if (!layer.has_density || layer.beta == 0.0 || task.t + 1 == p_.n_layers) return;
  const int64_t size = layer.message.size;
  task.work.residual.assign(kBlock * size, Real(0));
  const Field residual = passing(task.work.residual, layer.message);
  if (layer.gated && task.t == 0) {
    const int64_t width = layer.message.width[0];
    for (int64_t k = 0; k < task.n; ++k)
      std::copy_n(layer.offset.data() + task.species * width, width, residual[k]);
  } else if (layer.gated) {
    const Field rows = by_atom(task.shared.rows, layer.edges, task);
    for (int l = 0; l <= std::min(layer.l_edge, p_.l_max); ++l)
      apply(task, l, rows, layer.residual[l].forward(task.species), residual, false);
  }
  const Field message = layer.gated ? kept(task.state.message, layer.message, task)
                                    : kept(task.state.nodes, p_.nodes, task);
  const Field back = dmessage(task);
  for (int64_t k = 0; k < task.n; ++k) {
    double dot = 0.0;
    for (int64_t j = 0; j < size; ++j)
      dot += double(back[k][j]) * double(message[k][j] - residual[k][j]);
    drho[k] = -layer.beta * task.shared.inverse[task.atom[k]] * dot;
  }
}

// (10): what the residual gives back to the projected features of the atom itself.
template <typename Real>
void EvaluationOf<Real>::residual_back(const Task &task, Real *gradients) {
  const Layer &layer = task.layer;
  if (!layer.gated || task.t == 0) return;
  const Field own{gradients, layer.edges, task.atom};
  for (int l = 0; l <= std::min(layer.l_edge, p_.l_max); ++l)
    apply(task, l, dmessage(task), layer.residual[l].backward(task.species), own, true);
}

// (10), (9): to the pairs and the neighbours.
template <typename Real>
void EvaluationOf<Real>::sums_back(const Task &task, Real *gradients) {
  const Layer &layer = task.layer;
  const Field dsums = passing(task.work.dsums, layer.sum);
  for (int l = 0; l <= p_.l_max; ++l)
    apply(task, l, dmessage(task), layer.sum_map[l].backward(task.species), dsums, false);
  const bool has_sums = task.t + 1 == p_.n_layers && layer.has_density;
  for (int64_t k = 0; k < task.n; ++k) {
    const int64_t atom = task.atom[k];
    const double inverse = task.shared.inverse[atom];
    if (has_sums) {
      const Real *sums = passing(task.work.sums, layer.sum)[k];
      double dot = 0.0;
      for (int64_t j = 0; j < layer.sum.size; ++j) dot += double(dsums[k][j]) * double(sums[j]);
      task.work.drho[k] = -layer.beta * inverse * dot;
    }
    const Real factor = Real(inverse);
    for (int64_t j = 0; j < layer.sum.size; j += kLanes<Real>) at(dsums[k] + j) *= factor;
    neighbors_back(task, atom, task.work.drho[k], dsums[k], gradients);
  }
}

}  // namespace lamplighter
#endif
