// SPDX-License-Identifier: GPL-2.0-only
// One step: pairs from LAMMPS' list, the model's answer, and where it goes.

#include "pair_unified.h"

#include "agreement.h"
#include "python_host.h"

#include "atom.h"
#include "group.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"

#include <algorithm>
#include <new>

using namespace LAMMPS_NS;
using Lamplighter::agree;
using Lamplighter::PythonHost;

// Group 0 is "all".
static constexpr int ALL = 0;

// ---------------------------------------------------------------------------------------
// Exclusions

// True for an atom that 'neigh_modify exclude group NAME all' removes from everything: fix
// gcmc hides atoms that way to ask for the energy without them.
bool PairUnified::absent(int mask) const
{
  for (int m = 0; m < neighbor->nex_group; m++) {
    if (neighbor->ex1_group[m] == ALL && (mask & neighbor->ex2_bit[m])) return true;
    if (neighbor->ex2_group[m] == ALL && (mask & neighbor->ex1_bit[m])) return true;
  }
  return false;
}

// Any other exclusion takes some of an atom's neighbours and leaves the rest. Returns what
// is wrong if that touches an owned atom of the model.
std::string PairUnified::partial_exclusion() const
{
  const auto mapped = [this](int type) { return type_to_element[type] >= 0; };
  std::string what;
  for (int m = 0; m < neighbor->nex_type; m++)
    if (mapped(neighbor->ex1_type[m]) && mapped(neighbor->ex2_type[m]))
      what = "'exclude type " + std::to_string(neighbor->ex1_type[m]) + " " +
          std::to_string(neighbor->ex2_type[m]) + "'";
  for (int m = 0; m < neighbor->nex_group; m++) {
    if (neighbor->ex1_group[m] == ALL || neighbor->ex2_group[m] == ALL) continue;
    const int bits = neighbor->ex1_bit[m] | neighbor->ex2_bit[m];
    for (int i = 0; i < atom->nlocal; i++)
      if ((atom->mask[i] & bits) && mapped(atom->type[i]))
        what = "'exclude group " + std::string(group->names[neighbor->ex1_group[m]]) + " " +
            group->names[neighbor->ex2_group[m]] + "'";
  }
  for (int m = 0; m < neighbor->nex_mol; m++)
    for (int i = 0; i < atom->nlocal; i++)
      if ((atom->mask[i] & neighbor->ex_mol_bit[m]) && mapped(atom->type[i]))
        what = "'exclude molecule'";
  if (what.empty()) return what;
  return "neigh_modify " + what +
      " takes some pairs of an atom from the model, whose energy then means nothing. Excluding "
      "a group from 'all' hides its atoms as if they were not there; for atoms that must not "
      "move use 'fix setforce 0 0 0' or leave them out of the integrating fix.";
}

// ---------------------------------------------------------------------------------------
// Pairs

void PairUnified::map_elements()
{
  const int ntotal = atom->nlocal + atom->nghost;
  elements_of_atoms.resize(ntotal);
  for (int i = 0; i < ntotal; i++) elements_of_atoms[i] = type_to_element[atom->type[i]];
  if (!neighbor->exclude) return;
  for (int i = 0; i < ntotal; i++)
    if (absent(atom->mask[i])) elements_of_atoms[i] = -1;
}

// Directed pairs from the centre within the cutoff; the list also holds pairs in the skin.
void PairUnified::add_pairs_of(int i, bool for_python)
{
  const double *const *const x = atom->x;
  const double limit = cutoff * cutoff;
  const int *const neighbours = list->firstneigh[i];
  const size_t before = pair_j.size();
  for (int k = 0; k < list->numneigh[i]; k++) {
    const int j = neighbours[k] & NEIGHMASK;
    if (elements_of_atoms[j] < 0) continue;
    const double d[3] = {x[j][0] - x[i][0], x[j][1] - x[i][1], x[j][2] - x[i][2]};
    if (d[0] * d[0] + d[1] * d[1] + d[2] * d[2] >= limit) continue;
    pair_j.push_back(j);
    rij.insert(rij.end(), d, d + 3);
    if (!for_python) continue;
    pair_i.push_back(i);
    pair_elements.push_back(elements_of_atoms[j]);
  }
  centres.push_back(i);
  centre_elements.push_back(elements_of_atoms[i]);
  neighbour_counts.push_back(static_cast<int32_t>(pair_j.size() - before));
}

void PairUnified::read_pairs(bool for_python)
{
  map_elements();
  for (auto *array : {&centres, &centre_elements, &neighbour_counts, &pair_i, &pair_j,
                      &pair_elements})
    array->clear();
  rij.clear();
  const int listed = list->inum + (ghostneigh ? list->gnum : 0);
  std::vector<int> order(list->ilist, list->ilist + listed);
  // Both ways rely on ascending centres; the usual lists already come that way.
  if (!std::is_sorted(order.begin(), order.end())) std::sort(order.begin(), order.end());
  // Room for all that is listed, at once: growing would copy, and hold both copies.
  size_t most = 0;
  for (const int i : order) most += list->numneigh[i];
  if (most > pair_j.capacity()) pair_j.reserve(most + most / 16);
  if (3 * most > rij.capacity()) rij.reserve(3 * (most + most / 16));
  for (const int i : order)
    if (elements_of_atoms[i] >= 0) add_pairs_of(i, for_python);
  atom_energies.assign(atom->nlocal, 0.0);
}

// ---------------------------------------------------------------------------------------
// The step itself

// Room for what fixes asked for; the others stay empty, which tells Python to skip them.
void PairUnified::provide_outputs()
{
  output_addresses.clear();
  for (auto *output : offered) {
    const bool wanted = output->wanted();
    if (wanted) output->values.assign(std::max(atom->nmax, 1), 0.0);
    output_addresses.push_back(wanted ? output->values.data() : nullptr);
  }
}

LamplighterStep PairUnified::describe(int eflag, int vflag)
{
  const size_t ntotal = atom->nlocal + atom->nghost;
  LamplighterStep step{};
  step.version = LAMPLIGHTER_ABI;
  step.handle = handle;
  step.pair = this;
  step.nlocal = atom->nlocal;
  step.ntotal = static_cast<int64_t>(ntotal);
  step.natomneigh = static_cast<int64_t>(centres.size());
  step.nlistatoms =
      std::lower_bound(centres.begin(), centres.end(), atom->nlocal) - centres.begin();
  step.npairs = static_cast<int64_t>(pair_j.size());
  step.nneigh_max = static_cast<int64_t>(pair_j.capacity());
  step.eflag = eflag;
  step.vflag = vflag;
  step.iatoms = centres.data();
  step.ielems = centre_elements.data();
  step.numneighs = neighbour_counts.data();
  step.pair_i = pair_i.data();
  step.pair_j = pair_j.data();
  step.jelems = pair_elements.data();
  step.elems = elements_of_atoms.data();
  step.rij = rij.data();
  step.x = ntotal ? &atom->x[0][0] : nullptr;
  // Forces in another unit, or forces to be compared, must not mix with those of others.
  if (unit != 1.0 || checking) {
    direct_forces.assign(3 * ntotal, 0.0);
    step.f = direct_forces.data();
  } else {
    direct_forces.clear();
    step.f = ntotal ? &atom->f[0][0] : nullptr;
  }
  step.eatoms = atom_energies.data();
  if (cvflag_atom) {
    centroid_virial.assign(std::max<size_t>(9 * ntotal, 1), 0.0);
    step.centroid = centroid_virial.data();
  }
  provide_outputs();
  step.outputs = output_addresses.data();
  step.forward_exchange = forward_exchange;
  step.reverse_exchange = reverse_exchange;
  step.update_pair_forces = update_pair_forces;
  return step;
}

// Returns what went wrong on this rank.
std::string PairUnified::evaluate(LamplighterStep &step, int eflag, int vflag)
{
  bool native = false;
  try {
    if (neighbor->exclude) {
      const std::string problem = partial_exclusion();
      if (!problem.empty()) return problem;
    }
    native = !members.empty() && !python_is_due();
    read_pairs(!native);
    if (checking) own_forces.assign(3 * (atom->nlocal + atom->nghost), 0.0);
    std::fill(own_virial, own_virial + 6, 0.0);
    if (native)
      number_rows();
    else
      step = describe(eflag, vflag);
  } catch (const std::bad_alloc &) {
    return "no memory for the pairs of " + std::to_string(atom->nlocal) +
        " atoms; use more ranks on more machines, or fewer atoms";
  }
  return native ? evaluate_native(step) : PythonHost::serve("compute", &step);
}

void PairUnified::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  checking = check_every > 0 && (!checked || update->ntimestep % check_every == 0);
  stop_text.clear();
  thrown = nullptr;
  row_map = nullptr;
  LamplighterStep step{};
  const std::string problem = evaluate(step, eflag, vflag);
  if (thrown) std::rethrow_exception(thrown);
  // Ranks that were stopped inside an exchange have met the failing rank there already.
  if (stop_text.empty()) stop_text = agree(world, problem, Lamplighter::AT_END_OF_STEP);
  if (!stop_text.empty()) refuse(stop_text);
  add_direct_forces();
  tally(step);
  if (vflag_fdotr) virial_fdotr_compute();
  if (!checking) return;
  const std::string difference = check(step);
  if (!difference.empty()) refuse(difference);
  checked = true;
}

void PairUnified::tally(const LamplighterStep &step)
{
  if (eflag_global) eng_vdwl += unit * step.energy;
  if (eflag_atom)
    for (int i = 0; i < atom->nlocal; i++) eatom[i] += unit * atom_energies[i];
  if (cvflag_atom) tally_centroid();
}

// LAMMPS' order of the nine: xx yy zz xy xz yz yx zx zy.
void PairUnified::tally_centroid()
{
  static constexpr int place[9] = {0, 4, 8, 1, 2, 5, 3, 6, 7};
  const int ntotal = atom->nlocal + atom->nghost;
  for (int i = 0; i < ntotal; i++)
    for (int k = 0; k < 9; k++) cvatom[i][k] += unit * centroid_virial[9 * i + place[k]];
}

// Forces that Python added to `f` itself, where that was not LAMMPS' own array.
void PairUnified::add_direct_forces()
{
  for (size_t k = 0; k < direct_forces.size(); k++) {
    atom->f[k / 3][k % 3] += unit * direct_forces[k];
    if (checking) own_forces[k] += direct_forces[k];
  }
}

// g = dE/d(x_j - x_i) of each directed pair: the force is +g on i and -g on j; the virial
// -(x_j - x_i) (x) g goes half to each.
void PairUnified::add_forces(const double *given)
{
  double **f = atom->f;
  size_t k = 0;
  for (size_t c = 0; c < centres.size(); c++) {
    const int i = centres[c];
    const size_t end = k + neighbour_counts[c];
    double sum[3] = {};
    const size_t begin = k;
    for (; k < end; k++) {
      double *const fj = f[pair_j[k]];
      for (int a = 0; a < 3; a++) {
        const double g = unit * given[3 * k + a];
        sum[a] += g;
        fj[a] -= g;
      }
    }
    for (int a = 0; a < 3; a++) f[i][a] += sum[a];
    if (checking) keep_for_check(i, begin, end, given);
    if (vflag_either) add_virial(i, begin, end, given);
  }
}

// The six of -r (x) g: xx yy zz xy xz yz.
static void pair_virial(const double *r, const double *g, double *v)
{
  for (int a = 0; a < 3; a++) v[a] = -r[a] * g[a];
  v[3] = -r[0] * g[1];
  v[4] = -r[0] * g[2];
  v[5] = -r[1] * g[2];
}

// Pairs `begin` to `end` of centre i: into the virials of LAMMPS.
void PairUnified::add_virial(int i, size_t begin, size_t end, const double *given)
{
  double sum[6] = {}, v[6];
  for (size_t k = begin; k < end; k++) {
    pair_virial(&rij[3 * k], &given[3 * k], v);
    for (int a = 0; a < 6; a++) sum[a] += v[a];
    if (!vflag_atom) continue;
    for (int a = 0; a < 6; a++) vatom[pair_j[k]][a] += 0.5 * unit * v[a];
  }
  for (int a = 0; a < 6; a++) {
    if (vflag_global) virial[a] += unit * sum[a];
    if (vflag_atom) vatom[i][a] += 0.5 * unit * sum[a];
  }
}

// The same pairs into what a parity check compares.
void PairUnified::keep_for_check(int i, size_t begin, size_t end, const double *given)
{
  double v[6];
  for (size_t k = begin; k < end; k++) {
    for (int a = 0; a < 3; a++) {
      own_forces[3 * i + a] += given[3 * k + a];
      own_forces[3 * pair_j[k] + a] -= given[3 * k + a];
    }
    pair_virial(&rij[3 * k], &given[3 * k], v);
    for (int a = 0; a < 6; a++) own_virial[a] += v[a];
  }
}

int64_t PairUnified::update_pair_forces(void *pair, const double *fij)
{
  static_cast<PairUnified *>(pair)->add_forces(fij);
  return 0;
}

// Bytes of the arrays on this side; what Python holds is not known here.
double PairUnified::memory_usage()
{
  const size_t integers = centres.capacity() + centre_elements.capacity() +
      neighbour_counts.capacity() + pair_i.capacity() + pair_j.capacity() +
      pair_elements.capacity() + elements_of_atoms.capacity() + row_of_atom.capacity() +
      row_species.capacity() + pair_rows.capacity() + 2 * first_pair.capacity();
  size_t reals = rij.capacity() + atom_energies.capacity() + direct_forces.capacity() +
      centroid_virial.capacity() + own_forces.capacity() + mean_gradients.capacity();
  for (const auto &output : outputs) reals += output.values.capacity();
  return Pair::memory_usage() + integers * sizeof(int32_t) + reals * sizeof(double);
}
