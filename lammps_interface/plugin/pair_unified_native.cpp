// SPDX-License-Identifier: GPL-2.0-only
// A step without Python: the stages of a compiled potential, whose library Python opened and
// filled when the file was read (compiled_abi.h), with exchanges between them.

#include "pair_unified.h"

#include "compiled_abi.h"

#include "atom.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

using namespace LAMMPS_NS;

namespace {

// Functions of the library, by their declarations in compiled_abi.h.
struct Calls {
  lamplighter_evaluation *one;
  decltype(&lamplighter_begin) begin;
  decltype(&lamplighter_forward) forward;
  decltype(&lamplighter_backward) backward;
  decltype(&lamplighter_width) width;
  decltype(&lamplighter_rows) rows;
  decltype(&lamplighter_gradients) gradients;
  decltype(&lamplighter_energies) energies;
  decltype(&lamplighter_pair_gradients) pair_gradients;
  decltype(&lamplighter_problem) problem;

  explicit Calls(const LamplighterMember &member)
  {
    one = static_cast<lamplighter_evaluation *>(member.evaluation);
    take(member.begin, begin);
    take(member.forward, forward);
    take(member.backward, backward);
    take(member.width, width);
    take(member.rows, rows);
    take(member.gradients, gradients);
    take(member.energies, energies);
    take(member.pair_gradients, pair_gradients);
    take(member.problem, problem);
  }

 private:
  template <typename Function> static void take(void *address, Function &function)
  {
    function = reinterpret_cast<Function>(address);
  }
};

std::string text_of(const Calls &calls)
{
  const std::string problem = calls.problem();
  if (problem == "no memory left")
    return "no memory left for this step. Use more ranks on more machines, a file in float32 "
           "(lamplighter convert --dtype float32), or fewer atoms.";
  return "the compiled potential stopped: " + problem +
      "; look for atoms that nearly coincide, a time step that is too long, or a structure "
      "far from what the model was trained on";
}

}    // namespace

// True on steps at which something is due that only Python has.
bool PairUnified::python_is_due() const
{
  if (cvflag_atom) return true;
  for (const auto *output : offered)
    if (output->wanted() && output->name != "reference" && output->name != "interaction")
      return true;
  return false;
}

// Atoms without an element are left out; the order of the others stays.
void PairUnified::number_rows()
{
  const int nlocal = atom->nlocal, ntotal = nlocal + atom->nghost;
  const auto &elements = elements_of_atoms;
  row_of_atom.clear();
  n_own_rows = nlocal;
  n_rows = ntotal;
  if (std::any_of(elements.begin(), elements.end(), [](int32_t one) { return one < 0; })) {
    row_of_atom.assign(ntotal, -1);
    row_species.clear();
    for (int i = 0; i < ntotal; i++) {
      if (i == nlocal) n_own_rows = static_cast<int64_t>(row_species.size());
      if (elements[i] < 0) continue;
      row_of_atom[i] = static_cast<int32_t>(row_species.size());
      row_species.push_back(elements[i]);
    }
    n_rows = static_cast<int64_t>(row_species.size());
    if (ntotal == nlocal) n_own_rows = n_rows;
    pair_rows.resize(pair_j.size());
    for (size_t k = 0; k < pair_j.size(); k++) pair_rows[k] = row_of_atom[pair_j[k]];
  }
  // Owned atoms that the list does not name have no pairs.
  first_pair.assign(n_own_rows + 1, 0);
  for (size_t c = 0; c < centres.size(); c++) {
    const int64_t row = row_of_atom.empty() ? centres[c] : row_of_atom[centres[c]];
    first_pair[row + 1] = neighbour_counts[c];
  }
  for (int64_t row = 0; row < n_own_rows; row++) first_pair[row + 1] += first_pair[row];
}

// Returns what went wrong on this rank. Every rank makes the same exchanges, with and
// without atoms.
std::string PairUnified::evaluate_native(LamplighterStep &step)
{
  try {
    const double *gradients = nullptr;
    for (const auto &member : members) {
      const std::string problem = run_stages(member);
      if (!problem.empty() || !stop_text.empty() || thrown) return problem;
      take_energies(member);
      gradients = take_gradients(member);
    }
    for (const double one : atom_energies) step.energy += one;
    const std::string problem = not_numbers(gradients, step.energy);
    if (!problem.empty()) return problem;
    direct_forces.clear();
    provide_outputs();
    fill_outputs();
    add_forces(gradients);
  } catch (const std::bad_alloc &) {
    return "no memory for " + std::to_string(atom->nlocal) +
        " atoms; use more ranks on more machines, or fewer atoms";
  }
  return "";
}

// Status of an exchange other than 0: the step is over on all ranks, which compute() knows.
std::string PairUnified::run_stages(const LamplighterMember &member)
{
  const Calls calls(member);
  const bool mapped = !row_of_atom.empty();
  lamplighter_atoms atoms{};
  atoms.n_own = n_own_rows;
  atoms.n_all = n_rows;
  atoms.n_pairs = static_cast<int64_t>(pair_j.size());
  atoms.species = mapped ? row_species.data() : elements_of_atoms.data();
  atoms.first = first_pair.data();
  atoms.neighbor = mapped ? pair_rows.data() : pair_j.data();
  atoms.vectors = rij.data();
  row_map = mapped ? row_of_atom.data() : nullptr;

  const int n = static_cast<int>(member.n_layers);
  const auto pass = [&](bool forward, void *rows, int layer) {
    return exchange(forward, rows, rows, calls.width(calls.one, layer), member.item_bytes);
  };
  std::string problem;
  if (calls.begin(calls.one, &atoms)) problem = text_of(calls);
  for (int t = 0; t < n && problem.empty(); t++) {
    if (t > 0 && pass(true, calls.rows(calls.one, t), t)) break;
    if (calls.forward(calls.one, t)) problem = text_of(calls);
  }
  for (int t = n - 1; t >= 0 && problem.empty() && stop_text.empty() && !thrown; t--) {
    if (calls.backward(calls.one, t))
      problem = text_of(calls);
    else if (t > 0)
      pass(false, calls.gradients(calls.one, t), t);
  }
  row_map = nullptr;
  return problem;
}

// A committee's energies and gradients are means.
void PairUnified::take_energies(const LamplighterMember &member)
{
  const Calls calls(member);
  const double *const energies = calls.energies(calls.one);
  const double share = 1.0 / static_cast<double>(members.size());
  for (int i = 0; i < atom->nlocal; i++) {
    const int element = elements_of_atoms[i];
    if (element < 0) continue;
    const int64_t row = row_of_atom.empty() ? i : row_of_atom[i];
    atom_energies[i] += share * (energies[row] + member.baseline[element]);
  }
}

const double *PairUnified::take_gradients(const LamplighterMember &member)
{
  const Calls calls(member);
  const double *const gradients = calls.pair_gradients(calls.one);
  if (members.size() == 1) return gradients;
  if (&member == &members.front()) mean_gradients.assign(3 * pair_j.size(), 0.0);
  const double share = 1.0 / static_cast<double>(members.size());
  for (size_t k = 0; k < mean_gradients.size(); k++) mean_gradients[k] += share * gradients[k];
  return mean_gradients.data();
}

std::string PairUnified::not_numbers(const double *gradients, double energy) const
{
  static const char *const advice =
      "; look for atoms that nearly coincide, a time step that is too long, or a structure "
      "far from what the model was trained on";
  for (size_t k = 0; k < 3 * pair_j.size(); k++) {
    if (std::isfinite(gradients[k])) continue;
    const double *const r = &rij[k - k % 3];
    char length[32];
    snprintf(length, sizeof(length), "%.3g", std::sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]));
    return std::string("the model returned pair forces that are not numbers, first between "
                       "atoms ") + length + " Angstrom apart" + advice;
  }
  if (std::isfinite(energy)) return "";
  return std::string("the model returned an energy that is not a number") + advice;
}

// E0 and the rest of each atom's energy, where a fix asked for them.
void PairUnified::fill_outputs()
{
  for (auto *output : offered) {
    if (!output->wanted()) continue;
    const bool rest = output->name == "interaction";
    for (int i = 0; i < atom->nlocal; i++) {
      const int element = elements_of_atoms[i];
      if (element < 0) continue;
      double reference = 0.0;
      for (const auto &member : members) reference += member.baseline[element];
      reference /= static_cast<double>(members.size());
      output->values[i] = rest ? atom_energies[i] - reference : reference;
    }
  }
}
