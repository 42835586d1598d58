// SPDX-License-Identifier: MIT
// A potential as it is evaluated: tables and matrices of each layer in the real type.
// Numbers in brackets are the equations of docs/potential.md.
#ifndef LAMPLIGHTER_POTENTIAL_H
#define LAMPLIGHTER_POTENTIAL_H

#include <vector>

#include "gemm.h"
#include "interfaces.h"
#include "paths.h"
#include "product.h"
#include "spline.h"

namespace lamplighter {

constexpr int kDegrees = 4;  // 0 to 3

enum Readout { kNone = 0, kLinear = 1, kHidden = 2, kTwice = 3 };

// A matrix there and back, for one species or for all.
template <typename Real> struct Map {
  std::vector<Matrix<Real>> there, back;

  void read(const Tables &tables, const std::string &name, int64_t n_in, int64_t n_out,
            int64_t n_species) {
    const int64_t n = tables.parts(name, n_in * n_out, n_species);
    const auto &values = tables.of(name, n * n_in * n_out);
    there.resize(n);
    back.resize(n);
    for (int64_t s = 0; s < n; ++s) {
      const double *w = values.data() + s * n_in * n_out;
      there[s].arrange(n_in, n_out, [&](int64_t i, int64_t o) { return w[i * n_out + o]; });
      back[s].arrange(n_out, n_in, [&](int64_t o, int64_t i) { return w[i * n_out + o]; });
    }
  }
  bool empty() const { return there.empty(); }
  const Matrix<Real> &forward(int species) const {
    return there[there.size() == 1 ? 0 : species];
  }
  const Matrix<Real> &backward(int species) const {
    return back[back.size() == 1 ? 0 : species];
  }
};

// Where the rows (l, m) of an atom are: row (l, m) begins at start[l] + m width[l].
struct Layout {
  int64_t start[kDegrees] = {0, 0, 0, 0};
  int64_t width[kDegrees] = {0, 0, 0, 0};
  int64_t size = 0;

  // Call it for one degree after the other, from 0.
  void append(int l, int64_t channels) {
    start[l] = size;
    width[l] = channels;
    size += (2 * l + 1) * channels;
  }
  static Layout even(int l_max, int64_t channels) {
    Layout made;
    for (int l = 0; l <= l_max; ++l) made.append(l, channels);
    return made;
  }
};

template <typename Real> struct LayerOf {
  int l_in = 0, l_edge = 0, l_out = 0, readout = kNone, activation = 0;
  bool gated = false, has_density = false;
  int64_t edge = 0, n_weights = 0, hidden = 0;
  std::vector<Path<Real>> paths;
  int64_t n_turns = 0;  // T of all paths
  Layout edges, sum, message, features;  // u, A, m, h
  Numbers<Real> radial;     // [center][neighbor][knot][order][n_weights]
  std::vector<double> density;  // [center][neighbor][knot][order]
  double alpha = 1.0, beta = 0.0;
  Map<Real> sum_map[kDegrees], residual[kDegrees], mix[kDegrees];
  Map<Real> update[kDegrees], skip[kDegrees], up[kDegrees];
  // Of the first layer, by species: W_res u in the message, W_skip h in the update.
  Numbers<Real> offset, start;
  ProductProgram<Real> program;
  Numbers<Real> product;  // [species or 1][path][channel]
  Map<Real> first, middle;
  std::vector<double> second, middle_bias;
  double bias = 0.0;

  const Real *product_of(int species, int64_t channels) const {
    const int64_t one = program.n_paths * channels;
    return product.data() + (int64_t(product.size()) == one ? 0 : species * one);
  }
};

template <typename Real> class PotentialOf : public PotentialBase {
 public:
  explicit PotentialOf(const Tables &tables) { read(tables); }
  std::unique_ptr<EvaluationBase> evaluation(int threads) const override;

  int n_species = 0, n_layers = 0, l_max = 0, cutoff_power = 5;
  int64_t channels = 0;
  double cutoff = 0.0, scale = 1.0, shift = 0.0;
  bool zbl = false;
  Knots knots;
  Layout nodes;  // of B, the input of the product
  std::vector<double> charges, radii;
  std::vector<LayerOf<Real>> layers;

 private:
  typedef LayerOf<Real> Layer;
  void read(const Tables &);
  void read_layer(const Tables &, int);
  void read_shape(const Tables &, const std::string &, Layer &, bool first);
  void read_paths(const Tables &, const std::string &, Layer &, bool first);
  void read_couplings(const Tables &, const std::string &, Layer &);
  void read_radial(const Tables &, const std::string &, Layer &);
  void read_maps(const Tables &, const std::string &, Layer &, bool first);
  void read_start(const Tables &, const std::string &, Layer &);
  void read_program(const Tables &, const std::string &, Layer &);
  void read_readout(const Tables &, const std::string &, Layer &);
};

}  // namespace lamplighter
#endif
