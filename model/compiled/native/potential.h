// SPDX-License-Identifier: MIT
// A potential as it is evaluated: tables and matrices of each layer in the real type.
// Numbers in brackets are the equations of docs/potential.md.
#ifndef LAMPLIGHTER_POTENTIAL_H
#define LAMPLIGHTER_POTENTIAL_H

#include <vector>

#include "dense.h"
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

  void arrange(const Dense &w) {
    there.resize(w.parts);
    back.resize(w.parts);
    for (int64_t s = 0; s < w.parts; ++s) {
      const double *v = w.of(s);
      const int64_t n = w.n_out;
      there[s].arrange(w.n_in, n, [&](int64_t i, int64_t o) { return v[i * n + o]; });
      back[s].arrange(n, w.n_in, [&](int64_t o, int64_t i) { return v[i * n + o]; });
    }
  }
  void read(const Tables &tables, const std::string &name, int64_t n_in, int64_t n_out,
            int64_t n_species) {
    arrange(Dense::read(tables, name, n_in, n_out, n_species));
  }
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

// What is made of the features h of a layer is linear in them: what its readout sees, what
// the next layer takes from its neighbours (8), and, through the skip (14), all that the
// layers behind it make of theirs. These numbers, one part after the other in each row,
// are computed from the product (13) at once; h itself never is.
struct Uses {
  Layout layout;
  int64_t readout = 0;            // numbers of the readout, at the begin of degree 0
  int64_t edges[kDegrees] = {0, 0, 0, 0}, later[kDegrees] = {0, 0, 0, 0};  // begin

  bool has_later(int l) const { return later[l] < layout.width[l]; }
};

template <typename Real> struct LayerOf {
  int l_in = 0, l_edge = 0, l_out = 0, readout = kNone, activation = 0;
  bool gated = false, has_density = false;
  int64_t edge = 0, n_weights = 0, hidden = 0;
  std::vector<Path<Real>> paths;
  int64_t n_turns = 0;  // T of all paths
  Layout edges, sum, message, product;  // u, A, m, P
  Uses uses;
  Numbers<Real> radial;     // [center][neighbor][knot][order][n_weights]
  std::vector<double> density;  // [center][neighbor][knot][order]
  double alpha = 1.0, beta = 0.0;
  Map<Real> sum_map[kDegrees], residual[kDegrees], mix[kDegrees];
  Map<Real> update[kDegrees];  // from the product to the uses of the features
  // Of the first layer, by species: W_res u in the message, W_skip h in the uses.
  Numbers<Real> offset, start;
  ProductProgram<Real> program;
  Numbers<Real> weights;  // of the product: [species or 1][path][channel]
  Map<Real> middle;
  std::vector<double> second, middle_bias;
  double bias = 0.0;

  const Real *weights_of(int species, int64_t channels) const {
    const int64_t one = program.n_paths * channels;
    return weights.data() + (int64_t(weights.size()) == one ? 0 : species * one);
  }
};

// The matrices of a layer that are multiplied with each other beforehand.
struct Factored {
  Dense update[kDegrees], skip[kDegrees], up[kDegrees], first, start;
};

template <typename Real> class PotentialOf : public PotentialBase {
 public:
  explicit PotentialOf(const Tables &tables) { read(tables); }
  std::unique_ptr<EvaluationBase> evaluation(int threads,
                                             bool deterministic) const override;

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
  Factored read_layer(const Tables &, int);
  void read_shape(const Tables &, const std::string &, Layer &, bool first);
  void read_paths(const Tables &, const std::string &, Layer &, bool first);
  void read_couplings(const Tables &, const std::string &, Layer &);
  void read_radial(const Tables &, const std::string &, Layer &);
  void read_maps(const Tables &, const std::string &, Layer &, bool first);
  Factored read_factored(const Tables &, const std::string &, const Layer &, bool first);
  void fold(const std::vector<Factored> &);
  void read_program(const Tables &, const std::string &, Layer &);
  void read_readout(const Tables &, const std::string &, Layer &);
};

}  // namespace lamplighter
#endif
