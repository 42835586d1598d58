// SPDX-License-Identifier: GPL-2.0-only
// Life of the pair style: command arguments, model, one step. The exchange between ranks is
// in pair_unified_comm.cpp.

#include "pair_unified.h"

#include "agreement.h"
#include "python_host.h"

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cstring>
#include <sstream>

using namespace LAMMPS_NS;
using Lamplighter::agree;
using Lamplighter::PythonHost;

// Columns moved by one round of communication. LAMMPS sizes its buffers by comm_forward when
// the run starts, before the width of the model's rows is known: wide rows go in blocks.
static constexpr int BLOCK = 128;

// Stages in which ranks meet; exchanges use stages from FIRST_EXCHANGE on.
enum { AT_OPEN = 1, AT_END_OF_STEP = 2 };

PairUnified::PairUnified(LAMMPS *lmp) : Pair(lmp)
{
  single_enable = 0;
  restartinfo = 0;
  one_coeff = 1;
  manybody_flag = 1;
  centroidstressflag = CENTROID_NOTAVAIL;
  comm_forward = BLOCK;
  comm_reverse = BLOCK;
}

PairUnified::~PairUnified()
{
  if (copymode) return;
  close();
  if (!allocated) return;
  memory->destroy(setflag);
  memory->destroy(cutsq);
  memory->destroy(cutghost);
}

void PairUnified::allocate()
{
  const int n = atom->ntypes + 1;
  memory->create(setflag, n, n, "pair:setflag");
  memory->create(cutsq, n, n, "pair:cutsq");
  memory->create(cutghost, n, n, "pair:cutghost");
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      setflag[i][j] = 0;
      cutsq[i][j] = cutghost[i][j] = 0.0;
    }
  allocated = 1;
}

// Ends LAMMPS with `problem` on all ranks; all ranks must call it.
void PairUnified::refuse(const std::string &problem)
{
  error->all(FLERR, "pair_style mliap unified: " + problem);
}

// ---------------------------------------------------------------------------------------
// pair_style mliap unified FILE [FLAG], or mliap/unified FILE [FLAG]

void PairUnified::settings(int narg, char **arg)
{
  int first = 0;
  if (narg > 0 && strcmp(arg[0], "unified") == 0) first = 1;
  if (narg > 0 && (strcmp(arg[0], "model") == 0 || strcmp(arg[0], "descriptor") == 0))
    refuse("'mliap " + std::string(arg[0]) +
           "' cannot follow or stand beside 'mliap unified' under one style name. Write "
           "'pair_style none' between the two commands, or name this one 'mliap/unified'.");
  if (narg - first < 1 || narg - first > 2)
    refuse("the arguments are FILE and an optional FLAG (0 or 1), but " +
           std::to_string(narg - first) + " came. Example: pair_style mliap unified mgo.pt 0");
  int64_t flag = 0;
  if (narg - first == 2) {
    const std::string word = arg[first + 1];
    if (word != "0" && word != "1")
      refuse("FLAG must be 0 (exchange between ranks) or 1 (neighbours of ghosts), not '" +
             word + "'");
    flag = word == "1";
  }
  close();
  path = arg[first];
  open_model(flag);
}

// Collective: asks Python for the model, on every rank.
void PairUnified::open_model(int64_t flag)
{
  LamplighterOpen request{};
  request.version = LAMPLIGHTER_ABI;
  request.path = path.c_str();
  request.ghostneigh = flag;

  std::string problem = PythonHost::start();
  request.embedded = PythonHost::embedded();
  if (problem.empty()) problem = PythonHost::serve("open", &request);
  if (problem.empty()) handle = request.handle;
  problem = agree(world, problem, AT_OPEN);
  if (!problem.empty()) {
    close();
    refuse(problem);
  }
  ghostneigh = static_cast<int>(flag);
  cutoff = request.cutoff;
  names.clear();
  std::istringstream words(request.elements);
  for (std::string name; words >> name;) names.push_back(name);
  if (comm->me == 0) utils::logmesg(lmp, std::string(request.note) + "\n");
}

void PairUnified::close()
{
  if (!handle || !PythonHost::usable()) return;
  LamplighterStep request{};
  request.version = LAMPLIGHTER_ABI;
  request.handle = handle;
  handle = 0;
  // Runs in destructors, which must not fail: a problem here can only be shown.
  const std::string problem = PythonHost::serve("close", &request);
  if (!problem.empty()) error->warning(FLERR, problem);
}

// ---------------------------------------------------------------------------------------
// pair_coeff * * El1 El2 ...

void PairUnified::coeff(int narg, char **arg)
{
  std::string known;
  for (const auto &name : names) known += (known.empty() ? "" : " ") + name;
  const int ntypes = atom->ntypes;
  if (narg < 2 || strcmp(arg[0], "*") != 0 || strcmp(arg[1], "*") != 0)
    refuse("pair_coeff must begin with '* *': one model serves all pairs of types");
  if (narg - 2 != ntypes)
    refuse("pair_coeff names " + std::to_string(narg - 2) + " element(s), but the box has " +
           std::to_string(ntypes) + " atom type(s); name one element for each type, in order "
           "(elements of " + path + ": " + known + ")");

  std::vector<int> found(ntypes + 1, -1);
  bool any = false;
  for (int type = 1; type <= ntypes; type++) {
    const std::string name = arg[type + 1];
    if (name == "NULL") continue;
    const auto at = std::find(names.begin(), names.end(), name);
    if (at == names.end())
      refuse("pair_coeff names the element '" + name + "' for atom type " +
             std::to_string(type) + ", which " + path + " does not have (it has: " + known + ")");
    found[type] = static_cast<int>(at - names.begin());
    any = true;
  }
  if (!any) refuse("pair_coeff maps no atom type to an element");

  if (!allocated) allocate();
  type_to_element = found;
  for (int i = 1; i <= ntypes; i++)
    for (int j = i; j <= ntypes; j++) setflag[i][j] = found[i] >= 0 && found[j] >= 0;
}

void PairUnified::init_style()
{
  if (!handle) refuse("there is no model: the pair_style command did not succeed");
  if (strcmp(update->unit_style, "metal") != 0)
    refuse("the model works in Angstrom and eV: 'units metal' is needed, not 'units " +
           std::string(update->unit_style) + "'");
  if (force->newton_pair == 0)
    refuse("forces on ghost atoms must go home: 'newton on' is needed, not 'newton off'");
  bool scaled = false;
  for (int i = 1; i <= 3; i++)
    scaled = scaled || force->special_lj[i] != 1.0 || force->special_coul[i] != 1.0;
  if (atom->molecular != Atom::ATOMIC && atom->nbonds > 0 && scaled)
    refuse("bonded neighbours would be missing from the model's pairs: give "
           "'special_bonds lj/coul 1 1 1', or an atom style without bonds");

  int flags = NeighConst::REQ_FULL;
  if (ghostneigh) flags |= NeighConst::REQ_GHOST;
  neighbor->add_request(this, flags);
}

double PairUnified::init_one(int i, int j)
{
  if (setflag[i][j] == 0)
    refuse("atom types " + std::to_string(i) + " and " + std::to_string(j) +
           " have no pair_coeff; NULL types need another style for their pairs, for example "
           "'pair_style hybrid/overlay mliap unified FILE 0 zero 6.0'");
  cutghost[i][j] = cutghost[j][i] = cutoff;
  return cutoff;
}

// ---------------------------------------------------------------------------------------
// One step

void PairUnified::map_elements()
{
  const int ntotal = atom->nlocal + atom->nghost;
  elements_of_atoms.resize(ntotal);
  for (int i = 0; i < ntotal; i++) elements_of_atoms[i] = type_to_element[atom->type[i]];
}

// Directed pairs from the centre within the cutoff; the list also holds pairs in the skin.
void PairUnified::add_pairs_of(int i)
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
    pair_i.push_back(i);
    pair_j.push_back(j);
    pair_elements.push_back(elements_of_atoms[j]);
    rij.insert(rij.end(), d, d + 3);
  }
  centres.push_back(i);
  centre_elements.push_back(elements_of_atoms[i]);
  neighbour_counts.push_back(static_cast<int32_t>(pair_j.size() - before));
}

void PairUnified::read_pairs()
{
  map_elements();
  for (auto *array : {&centres, &centre_elements, &neighbour_counts, &pair_i, &pair_j,
                      &pair_elements})
    array->clear();
  rij.clear();
  const int listed = list->inum + (ghostneigh ? list->gnum : 0);
  std::vector<int> order(list->ilist, list->ilist + listed);
  // Python relies on ascending centres; the usual lists already come that way.
  if (!std::is_sorted(order.begin(), order.end())) std::sort(order.begin(), order.end());
  for (const int i : order)
    if (elements_of_atoms[i] >= 0) add_pairs_of(i);
  atom_energies.assign(atom->nlocal, 0.0);
}

LamplighterStep PairUnified::describe(int eflag, int vflag)
{
  LamplighterStep step{};
  step.version = LAMPLIGHTER_ABI;
  step.handle = handle;
  step.pair = this;
  step.nlocal = atom->nlocal;
  step.ntotal = atom->nlocal + atom->nghost;
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
  step.f = step.ntotal ? &atom->f[0][0] : nullptr;
  step.eatoms = atom_energies.data();
  step.forward_exchange = forward_exchange;
  step.reverse_exchange = reverse_exchange;
  step.update_pair_forces = update_pair_forces;
  return step;
}

void PairUnified::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  read_pairs();
  LamplighterStep step = describe(eflag, vflag);
  stop_text.clear();
  thrown = nullptr;
  std::string problem = PythonHost::serve("compute", &step);
  if (thrown) std::rethrow_exception(thrown);
  // Ranks that were stopped inside an exchange have met the failing rank there already.
  if (stop_text.empty()) stop_text = agree(world, problem, AT_END_OF_STEP);
  if (!stop_text.empty()) refuse(stop_text);
  tally(step);
  if (vflag_fdotr) virial_fdotr_compute();
}

void PairUnified::tally(const LamplighterStep &step)
{
  if (eflag_global) eng_vdwl += step.energy;
  if (eflag_atom)
    for (int i = 0; i < atom->nlocal; i++) eatom[i] += atom_energies[i];
}

// g = dE/d(x_j - x_i) of each directed pair: the force is +g on i and -g on j; the virial
// -(x_j - x_i) (x) g goes half to each.
void PairUnified::add_forces(const double *g)
{
  double **f = atom->f;
  const size_t npairs = pair_j.size();
  for (size_t k = 0; k < npairs; k++, g += 3) {
    const int i = pair_i[k], j = pair_j[k];
    for (int a = 0; a < 3; a++) {
      f[i][a] += g[a];
      f[j][a] -= g[a];
    }
    if (!vflag_either) continue;
    const double *const r = &rij[3 * k];
    const double v[6] = {-r[0] * g[0], -r[1] * g[1], -r[2] * g[2],
                         -r[0] * g[1], -r[0] * g[2], -r[1] * g[2]};
    for (int a = 0; a < 6; a++) {
      if (vflag_global) virial[a] += v[a];
      if (!vflag_atom) continue;
      vatom[i][a] += 0.5 * v[a];
      vatom[j][a] += 0.5 * v[a];
    }
  }
}

int64_t PairUnified::update_pair_forces(void *pair, const double *fij)
{
  static_cast<PairUnified *>(pair)->add_forces(fij);
  return 0;
}

// Bytes of the arrays on this side; the model's own memory is Python's.
double PairUnified::memory_usage()
{
  const size_t integers = centres.capacity() + centre_elements.capacity() +
      neighbour_counts.capacity() + pair_i.capacity() + pair_j.capacity() +
      pair_elements.capacity() + elements_of_atoms.capacity();
  const size_t reals = rij.capacity() + atom_energies.capacity();
  return Pair::memory_usage() + integers * sizeof(int32_t) + reals * sizeof(double);
}
