// SPDX-License-Identifier: MIT
// The symmetric product as sums of monomials, arranged for evaluation.
//
// Each sum has the form x_k (c_1 p_1 + c_2 p_2 + ...): x_k a component of B, p a power (a
// product of components that is one factor shorter than the monomial), c a coefficient.
// For the product a monomial is in one sum; for its derivative by x_k it is in that of
// each of its factors, as often as it has that factor, and x_k is left away.
#ifndef LAMPLIGHTER_MONOMIALS_H
#define LAMPLIGHTER_MONOMIALS_H

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "simd.h"
#include "tables.h"

namespace lamplighter {

typedef std::vector<int32_t> Factors;  // components of B, ascending
constexpr size_t kMostFactors = 8;

template <typename Real> struct ProductProgram {
  struct Pair {
    int32_t left, right;
  };
  struct Share {  // of a coefficient: value * weight of the path
    int32_t path;
    Real value;
  };
  struct Entry {
    int32_t power, coefficient;
  };
  struct Sum {
    int32_t out, component, begin, end;  // of the entries
  };
  struct Sums {
    std::vector<Entry> entries;
    std::vector<Sum> sums;
  };
  int32_t n_in = 0, n_out = 0, n_paths = 0;
  // Power 0 is 1, powers 1 ... n_in are B, then come products of two earlier ones.
  std::vector<Pair> powers;
  std::vector<int32_t> first;  // share of each coefficient, and the end
  std::vector<Share> shares;
  Sums there, back;  // by result; by component

  int64_t n_powers() const { return 1 + n_in + int64_t(powers.size()); }
  int64_t n_coefficients() const { return int64_t(first.size()) - 1; }
};

// Collects the terms of a product, then arranges them.
template <typename Real> class Monomials {
 public:
  explicit Monomials(ProductProgram<Real> &made) : made_(made) {}

  void add(int32_t out, int32_t path, const Factors &factors, Real value) {
    terms_[{out, factors}].push_back({path, value});
  }
  void arrange() {
    made_.first.assign(1, 0);
    for (const auto &one : terms_) {
      const int32_t out = one.first.first;
      const Factors &factors = one.first.second;
      const int32_t coefficient = int32_t(made_.n_coefficients());
      made_.shares.insert(made_.shares.end(), one.second.begin(), one.second.end());
      made_.first.push_back(int32_t(made_.shares.size()));
      const size_t last = factors.size() - 1;
      there_[{out, factors[last]}].push_back({power(without(factors, last)), coefficient});
      for (size_t k = 0; k <= last; ++k)
        back_[{factors[k], out}].push_back({power(without(factors, k)), coefficient});
    }
    for (const auto &one : there_)
      append(made_.there, one.first.first, one.first.second, one.second);
    for (const auto &one : back_)
      append(made_.back, one.first.second, one.first.first, one.second);
  }

 private:
  typedef typename ProductProgram<Real>::Entry Entry;
  typedef std::map<std::pair<int32_t, int32_t>, std::vector<Entry>> Grouped;

  static Factors without(Factors factors, size_t k) {
    factors.erase(factors.begin() + int64_t(k));
    return factors;
  }
  int32_t power(const Factors &factors) {
    if (factors.empty()) return 0;
    if (factors.size() == 1) return 1 + factors[0];
    const auto known = known_.find(factors);
    if (known != known_.end()) return known->second;
    const size_t last = factors.size() - 1;
    made_.powers.push_back({power(without(factors, last)), 1 + factors[last]});
    return known_[factors] = int32_t(made_.n_powers()) - 1;
  }
  void append(typename ProductProgram<Real>::Sums &to, int32_t out, int32_t component,
              const std::vector<Entry> &entries) {
    const int32_t begin = int32_t(to.entries.size());
    to.entries.insert(to.entries.end(), entries.begin(), entries.end());
    to.sums.push_back({out, component, begin, int32_t(to.entries.size())});
  }

  ProductProgram<Real> &made_;
  std::map<std::pair<int32_t, Factors>,
           std::vector<typename ProductProgram<Real>::Share>> terms_;
  std::map<Factors, int32_t> known_;
  Grouped there_, back_;
};

}  // namespace lamplighter
#endif
