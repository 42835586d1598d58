// SPDX-License-Identifier: GPL-2.0-only
// What outlives a step: the model named in restart files, and per-atom values for fixes.

#include "pair_unified.h"

#include "agreement.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "memory.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cstring>

using namespace LAMMPS_NS;

// ---------------------------------------------------------------------------------------
// Restart files

namespace {

// Raised whenever what follows is written in another way.
constexpr int64_t RESTART_VERSION = 3;

void write_text(FILE *file, const std::string &text)
{
  const int64_t length = static_cast<int64_t>(text.size());
  fwrite(&length, sizeof(length), 1, file);
  fwrite(text.data(), 1, text.size(), file);
}

void write_number(FILE *file, int64_t number)
{
  fwrite(&number, sizeof(number), 1, file);
}

}    // namespace

// Reading is collective; the file is open on rank 0 only.
static int64_t read_number(LAMMPS *lmp, FILE *file)
{
  int64_t number = 0;
  if (lmp->comm->me == 0)
    utils::sfread(FLERR, &number, sizeof(number), 1, file, nullptr, lmp->error);
  MPI_Bcast(&number, sizeof(number), MPI_BYTE, 0, lmp->world);
  return number;
}

static std::string read_text(LAMMPS *lmp, FILE *file)
{
  const int64_t length = read_number(lmp, file);
  if (length < 0 || length > 1 << 20)
    lmp->error->all(FLERR, "pair_style mliap unified: the restart file is damaged, or a "
                           "newer plugin wrote it");
  std::string text(length, ' ');
  if (lmp->comm->me == 0 && length > 0)
    utils::sfread(FLERR, &text[0], 1, length, file, nullptr, lmp->error);
  MPI_Bcast(&text[0], static_cast<int>(length), MPI_CHAR, 0, lmp->world);
  return text;
}

void PairUnified::write_restart_settings(FILE *file)
{
  write_number(file, RESTART_VERSION);
  write_text(file, path);
  write_text(file, keywords);
  write_number(file, ghostneigh);
  write_text(file, hash);
  write_text(file, note);
}

// Collective. A model that cannot be opened from here does not end the script: pair_style
// may give its new place next. That it is the same model is checked then.
void PairUnified::read_restart_settings(FILE *file)
{
  if (read_number(lmp, file) != RESTART_VERSION)
    refuse("the restart file was written by another release of Lamplighter; give "
           "pair_style and pair_coeff after a 'pair_style none' in that release, write it "
           "again, or start from a data file");
  path = read_text(lmp, file);
  keywords = read_text(lmp, file);
  const int64_t flag = read_number(lmp, file);
  restart_hash = read_text(lmp, file);
  restart_note = read_text(lmp, file);
  int present = 0;
  if (comm->me == 0) {
    FILE *probe = fopen(path.c_str(), "rb");
    present = probe != nullptr || restart_hash.empty();
    if (probe) fclose(probe);
  }
  MPI_Bcast(&present, 1, MPI_INT, 0, world);
  if (present) {
    open_model(flag);
    compare_with_restart();
  } else if (comm->me == 0)
    error->warning(FLERR, "the restart file's potential " + path + " is not here (it was: " +
                   restart_note + "); give pair_style and pair_coeff with its new place");
}

void PairUnified::write_restart(FILE *file)
{
  write_restart_settings(file);
  write_number(file, atom->ntypes);
  for (int type = 1; type <= atom->ntypes; type++)
    write_text(file, type_to_element[type] < 0 ? "NULL" : names[type_to_element[type]]);
}

void PairUnified::read_restart(FILE *file)
{
  read_restart_settings(file);
  const int64_t ntypes = read_number(lmp, file);
  std::vector<std::string> words = {"*", "*"};
  for (int64_t type = 0; type < ntypes; type++) words.push_back(read_text(lmp, file));
  if (!handle) {    // init_style says what is missing, if nothing comes
    allocate();
    for (int i = 1; i <= atom->ntypes; i++)
      for (int j = i; j <= atom->ntypes; j++) setflag[i][j] = 1;
    return;
  }
  std::vector<char *> arguments;
  for (auto &word : words) arguments.push_back(&word[0]);
  coeff(static_cast<int>(arguments.size()), arguments.data());
}

void PairUnified::compare_with_restart()
{
  if (restart_hash.empty() || hash == restart_hash) return;
  if ((" " + keywords + " ").find(" replace yes ") == std::string::npos) {
    const std::string now = note;
    close();
    refuse("the restart file was written with another model.\n  restart: " + restart_note +
           " (SHA-256 " + restart_hash.substr(0, 12) + ")\n  now:     " + now + " (SHA-256 " +
           hash.substr(0, 12) + ")\nGive the same file; or, to go on with another one on "
           "purpose, add the keyword after FLAG: pair_style mliap unified " + path + " " +
           std::to_string(ghostneigh) + " replace yes");
  }
  restart_hash = hash;
}

// ---------------------------------------------------------------------------------------
// Per-atom values: fix ID all pair N mliap NAME 0|1. A fix asks for the address when it is
// made, between runs, and for the values in each step of a run: only the first is counted.

void PairUnified::offer(const std::string &name)
{
  const auto known = std::find_if(outputs.begin(), outputs.end(),
                                  [&](const Output &one) { return one.name == name; });
  if (known == outputs.end()) {
    outputs.emplace_back();
    outputs.back().name = name;
    offered.push_back(&outputs.back());
  } else
    offered.push_back(&*known);
}

void *PairUnified::extract_peratom(const char *name, int &columns)
{
  for (auto *output : offered) {
    if (output->name != name) continue;
    columns = 0;    // one value per atom: a vector
    if (update->whichflag == 0) output->fixes++;
    return output->values.empty() ? nullptr : output->values.data();
  }
  return nullptr;
}

// "NAME_flag": a switch by which fix pair says that it needs values of the coming step.
void *PairUnified::extract(const char *name, int &dimension)
{
  dimension = 0;
  for (auto *output : offered)
    if (output->name + "_flag" == name) {
      if (update->whichflag == 0) output->switching++;
      return &output->trigger;
    }
  if (strcmp(name, "cutoff") == 0) return &cutoff;
  return nullptr;
}
