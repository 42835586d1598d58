// SPDX-License-Identifier: MIT
// The tables of a potential by name, as they came, and the refusal of bad ones.
#ifndef LAMPLIGHTER_TABLES_H
#define LAMPLIGHTER_TABLES_H

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace lamplighter {

inline void require(bool good, const std::string &problem) {
  if (!good) throw std::runtime_error(problem);
}

struct Tables {
  std::map<std::string, std::vector<double>> numbers;
  std::map<std::string, std::vector<int64_t>> integers;

  const std::vector<double> &of(const std::string &name, int64_t n) const {
    return checked(numbers, name, n);
  }
  const std::vector<int64_t> &integers_of(const std::string &name, int64_t n) const {
    return checked(integers, name, n);
  }
  // Any number of records of `width` integers each.
  const std::vector<int64_t> &records(const std::string &name, int64_t width) const {
    const auto &values = checked(integers, name, -1);
    require(int64_t(values.size()) % width == 0,
            "table " + name + " does not hold records of " + std::to_string(width));
    return values;
  }
  bool has(const std::string &name) const { return numbers.count(name) > 0; }
  // A table is the same for all species or has one part of `n` numbers for each.
  int64_t parts(const std::string &name, int64_t n, int64_t n_species) const {
    const auto found = numbers.find(name);
    return found != numbers.end() && int64_t(found->second.size()) == n ? 1 : n_species;
  }

 private:
  template <typename Number>
  static const std::vector<Number> &checked(
      const std::map<std::string, std::vector<Number>> &tables, const std::string &name,
      int64_t n) {
    const auto found = tables.find(name);
    require(found != tables.end(), "no table " + name);
    require(n < 0 || int64_t(found->second.size()) == n,
            "table " + name + " has " + std::to_string(found->second.size()) +
                " numbers, not " + std::to_string(n));
    return found->second;
  }
};

}  // namespace lamplighter
#endif
