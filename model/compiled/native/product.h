// SPDX-License-Identifier: MIT
// The symmetric product: many-body features from powers of the one-body ones. Some atoms
// are taken together, so that a coefficient is loaded once for all of them.
#ifndef LAMPLIGHTER_PRODUCT_H
#define LAMPLIGHTER_PRODUCT_H

#include <algorithm>

#include "monomials.h"

namespace lamplighter {

constexpr int64_t kTogether = 4;  // atoms

// The product of the atoms of a block, all with the same weights [n_paths][channels].
template <typename Real> class Product {
 public:
  Product(const ProductProgram<Real> &program, int64_t channels, const Real *weights,
          Numbers<Real> &scratch)
      : program_(program), channels_(channels), weights_(weights) {
    const int64_t n = program.n_coefficients() + program.n_powers() * kTogether;
    scratch.resize(size_t(n * kLanes<Real>));
    coefficients_ = scratch.data();
    powers_ = coefficients_ + program.n_coefficients() * kLanes<Real>;
  }

  // P[out][c] of `n` atoms from B[in][c].
  void forward(int64_t n, const Real *const *b, Real *const *p) {
    by_vectors(n, [&](int64_t k, int64_t c, auto count) {
      this->template forward_of<decltype(count)::value>(b + k, p + k, c);
    });
  }
  // dB from dP; dB is overwritten.
  void backward(int64_t n, const Real *const *b, const Real *const *dp, Real *const *db) {
    by_vectors(n, [&](int64_t k, int64_t c, auto count) {
      this->template backward_of<decltype(count)::value>(b + k, dp + k, db + k, c);
    });
  }

 private:
  static constexpr int64_t kStep = kLanes<Real>;
  typedef typename ProductProgram<Real>::Sum Sum;

  template <int64_t N> struct Count {
    static constexpr int64_t value = N;
  };
  template <typename Work> void by_vectors(int64_t n, Work work) {
    for (int64_t c = 0; c < channels_; c += kStep) {
      mix_weights(c);
      int64_t k = 0;
      for (; k + kTogether <= n; k += kTogether) work(k, c, Count<kTogether>());
      for (; k + 2 <= n; k += 2) work(k, c, Count<2>());
      for (; k < n; ++k) work(k, c, Count<1>());
    }
  }
  void mix_weights(int64_t c) {
    for (int64_t k = 0; k < program_.n_coefficients(); ++k) {
      Vec<Real> sum{};
      for (int32_t s = program_.first[k]; s < program_.first[k + 1]; ++s)
        sum += program_.shares[s].value * at(weights_ + program_.shares[s].path * channels_ + c);
      at(coefficients_ + k * kStep) = sum;
    }
  }
  template <int64_t N> void raise(const Real *const *b, int64_t c) {
    Real *power = powers_;
    for (int64_t a = 0; a < N; ++a, power += kStep) at(power) = Vec<Real>{} + Real(1);
    for (int32_t i = 0; i < program_.n_in; ++i)
      for (int64_t a = 0; a < N; ++a, power += kStep) at(power) = at(b[a] + i * channels_ + c);
    for (const auto &one : program_.powers) {
      const Real *left = powers_ + one.left * N * kStep;
      const Real *right = powers_ + one.right * N * kStep;
      for (int64_t a = 0; a < N; ++a, power += kStep)
        at(power) = at(left + a * kStep) * at(right + a * kStep);
    }
  }
  template <int64_t N>
  void add_up(const typename ProductProgram<Real>::Sums &sums, const Sum &one,
              Vec<Real> (&sum)[N]) const {
    for (int64_t a = 0; a < N; ++a) sum[a] = Vec<Real>{};
    const auto *entry = sums.entries.data() + one.begin;
    for (const auto *end = sums.entries.data() + one.end; entry != end; ++entry) {
      const Vec<Real> coefficient = at(coefficients_ + entry->coefficient * kStep);
      const Real *power = powers_ + entry->power * N * kStep;
      for (int64_t a = 0; a < N; ++a) sum[a] += coefficient * at(power + a * kStep);
    }
  }
  template <int64_t N>
  void forward_of(const Real *const *b, Real *const *p, int64_t c) {
    raise<N>(b, c);
    Vec<Real> sum[N];
    for (int32_t out = 0; out < program_.n_out; ++out)
      for (int64_t a = 0; a < N; ++a) at(p[a] + out * channels_ + c) = Vec<Real>{};
    for (const Sum &one : program_.there.sums) {
      add_up<N>(program_.there, one, sum);
      for (int64_t a = 0; a < N; ++a)
        at(p[a] + one.out * channels_ + c) +=
            sum[a] * at(b[a] + one.component * channels_ + c);
    }
  }
  template <int64_t N>
  void backward_of(const Real *const *b, const Real *const *dp, Real *const *db,
                   int64_t c) {
    raise<N>(b, c);
    Vec<Real> sum[N];
    for (int32_t i = 0; i < program_.n_in; ++i)
      for (int64_t a = 0; a < N; ++a) at(db[a] + i * channels_ + c) = Vec<Real>{};
    for (const Sum &one : program_.back.sums) {
      add_up<N>(program_.back, one, sum);
      for (int64_t a = 0; a < N; ++a)
        at(db[a] + one.component * channels_ + c) +=
            sum[a] * at(dp[a] + one.out * channels_ + c);
    }
  }

  const ProductProgram<Real> &program_;
  const int64_t channels_;
  const Real *weights_;
  Real *coefficients_, *powers_;
};

}  // namespace lamplighter
#endif
