// SPDX-License-Identifier: GPL-2.0-only
// From the commands of a script to a model that is ready. One step is in
// pair_unified_step.cpp, the exchange between ranks in pair_unified_comm.cpp.

#include "pair_unified.h"

#include "agreement.h"
#include "compiled_abi.h"
#include "python_host.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "fix.h"
#include "force.h"
#include "memory.h"
#include "modify.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cstring>
#include <sstream>

using namespace LAMMPS_NS;
using Lamplighter::agree;
using Lamplighter::AT_OPEN;
using Lamplighter::PythonHost;

// Columns moved by one round of communication. LAMMPS sizes its buffers by comm_forward when
// the run starts, before the width of the model's rows is known: wide rows go in blocks.
static constexpr int BLOCK = 128;

// kcal/mol per eV, the factor that LAMMPS itself converts potential files with
static constexpr double REAL_PER_METAL = 23.060549;

PairUnified::PairUnified(LAMMPS *lmp) : Pair(lmp)
{
  single_enable = 0;
  restartinfo = 1;
  one_coeff = 1;
  manybody_flag = 1;
  centroidstressflag = CENTROID_AVAIL;
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
// pair_style mliap unified FILE [FLAG [keyword value ...]], or mliap/unified FILE ...

void PairUnified::settings(int narg, char **arg)
{
  int first = 0;
  if (narg > 0 && strcmp(arg[0], "unified") == 0) first = 1;
  if (narg > 0 && (strcmp(arg[0], "model") == 0 || strcmp(arg[0], "descriptor") == 0))
    refuse("'mliap " + std::string(arg[0]) +
           "' cannot follow or stand beside 'mliap unified' under one style name. Write "
           "'pair_style none' between the two commands, or name this one 'mliap/unified'.");
  if (narg - first < 1)
    refuse("the arguments are FILE, FLAG (0 or 1, optional) and keywords with values, but "
           "none came. Example: pair_style mliap unified mgo.pt 0");
  int64_t flag = 0;
  if (narg - first >= 2) {
    const std::string word = arg[first + 1];
    if (word != "0" && word != "1")
      refuse("FLAG must be 0 (exchange between ranks) or 1 (neighbours of ghosts), not '" +
             word + "'. Keywords come after FLAG.");
    flag = word == "1";
  }
  close();
  forget_elements();
  path = arg[first];
  keywords.clear();
  for (int i = first + 2; i < narg; i++)
    keywords += (keywords.empty() ? "" : " ") + std::string(arg[i]);
  open_model(flag);
  compare_with_restart();
}

// Collective: asks Python for the model, on every rank.
void PairUnified::open_model(int64_t flag)
{
  LamplighterOpen request{};
  request.version = LAMPLIGHTER_ABI;
  request.path = path.c_str();
  request.keywords = keywords.c_str();
  request.ghostneigh = flag;
  request.compiled_version = LAMPLIGHTER_COMPILED_VERSION;

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
  check_every = request.check_every;
  checked = false;
  members.assign(request.members, request.members + request.n_members);
  hash = request.hash;
  note = request.note;
  names.clear();
  std::istringstream words(request.elements);
  for (std::string name; words >> name;) names.push_back(name);
  offered.clear();
  words = std::istringstream(request.outputs);
  for (std::string name; words >> name;) offer(name);
  if (comm->me == 0) utils::logmesg(lmp, note + "\n");
}

// LAMMPS keeps the object when the same pair_style comes again: the elements of the old
// model mean nothing to the new one, and LAMMPS asks for another pair_coeff.
void PairUnified::forget_elements()
{
  type_to_element.clear();
  if (!allocated) return;
  for (int i = 1; i <= atom->ntypes; i++)
    for (int j = 1; j <= atom->ntypes; j++) setflag[i][j] = 0;
}

void PairUnified::close()
{
  if (!handle || !PythonHost::usable()) return;
  LamplighterStep request{};
  request.version = LAMPLIGHTER_ABI;
  request.handle = handle;
  members.clear();    // their memory is Python's
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
  if (!handle)
    refuse(restart_hash.empty()
               ? std::string("there is no model: the pair_style command did not succeed")
               : "the restart file's model is not here; give pair_style and pair_coeff again");
  if (strcmp(update->unit_style, "metal") == 0)
    unit = 1.0;
  else if (strcmp(update->unit_style, "real") == 0)
    unit = REAL_PER_METAL;
  else
    refuse("the model works in Angstrom and eV: 'units metal' or 'units real' is needed, not "
           "'units " + std::string(update->unit_style) + "'");
  if (force->newton_pair == 0)
    refuse("forces on ghost atoms must go home: 'newton on' is needed, not 'newton off'");
  if (strncmp(update->integrate_style, "respa", 5) == 0)
    refuse("'run_style respa' splits forces by distance or style, which a message-passing "
           "model is not made for; use 'run_style verlet'");
  refuse_bonds();

  int flags = NeighConst::REQ_FULL;
  if (ghostneigh) flags |= NeighConst::REQ_GHOST;
  neighbor->add_request(this, flags);
}

// LAMMPS leaves bonded pairs out of the list when their special_bonds factor is zero, and
// says nothing. Bonds may be there, or come with molecules or with a fix during the run.
void PairUnified::refuse_bonds()
{
  bool scaled = false;
  for (int i = 1; i <= 3; i++)
    scaled = scaled || force->special_lj[i] != 1.0 || force->special_coul[i] != 1.0;
  if (!scaled || atom->molecular == Atom::ATOMIC) return;
  bool bonds = atom->nbonds > 0 || atom->nmolecule > 0;
  for (const auto *fix : modify->get_fix_list())
    bonds = bonds || strncmp(fix->style, "bond/", 5) == 0;
  if (bonds)
    refuse("bonded neighbours would be missing from the model's pairs: give "
           "'special_bonds lj/coul 1 1 1', or an atom style without bonds");
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
