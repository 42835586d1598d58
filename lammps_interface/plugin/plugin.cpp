// SPDX-License-Identifier: GPL-2.0-only
// What LAMMPS calls when it opens the file: checks that this is the LAMMPS the file was built
// for, then registers the pair styles.

#include "pair_unified.h"

#include "comm.h"
#include "force.h"
#include "input.h"
#include "lammps.h"
#include "library.h"
#include "utils.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

using namespace LAMMPS_NS;

namespace {

// LAMMPS does not ship lammpsplugin.h; this is its structure.
struct PluginEntry {
  const char *version, *style, *name, *info, *author;
  union {
    Pair *(*v1)(LAMMPS *);
    void *(*v2)(LAMMPS *, int, char **);
  } creator;
  void *handle;
};
using RegisterFunction = void (*)(PluginEntry *, void *);

Force::PairCreator built_in_mliap = nullptr;

Pair *create_unified(LAMMPS *lmp)
{
  return new PairUnified(lmp);
}

// The style object must exist before LAMMPS hands over the arguments. To leave
// "mliap model ... descriptor ..." to LAMMPS' own style, look at the command being executed.
bool wants_built_in(LAMMPS *lmp)
{
  const Input *input = lmp->input;
  if (!built_in_mliap || !input || !input->command) return false;
  if (strcmp(input->command, "pair_style") != 0) return false;
  bool unified = false, classic = false;
  for (int i = 0; i + 1 < input->narg; i++) {
    if (strcmp(input->arg[i], "mliap") != 0) continue;
    const std::string next = input->arg[i + 1];
    unified = unified || next == "unified";
    classic = classic || next == "model" || next == "descriptor";
  }
  return classic && !unified;
}

Pair *create_mliap(LAMMPS *lmp)
{
  return wants_built_in(lmp) ? built_in_mliap(lmp) : create_unified(lmp);
}

// A LAMMPS of another version or with other integer sizes has other class layouts: nothing of
// it may be touched. Only functions of the C interface are used here.
bool fits(void *lmp)
{
  std::string problem;
  const int version = lammps_version(lmp);
  if (version != LAMPLIGHTER_LAMMPS_VERSION)
    problem = "version " + std::to_string(LAMPLIGHTER_LAMMPS_VERSION) + ", this is " +
        std::to_string(version);
  else if (lammps_extract_setting(lmp, "bigint") != sizeof(bigint) ||
           lammps_extract_setting(lmp, "tagint") != sizeof(tagint) ||
           lammps_extract_setting(lmp, "imageint") != sizeof(imageint))
    problem = "the integer sizes of LAMMPS_SMALLBIG, which this one does not have";
  if (problem.empty()) return true;
  if (lammps_extract_setting(lmp, "world_rank") == 0)
    fprintf(stderr,
            "WARNING: Lamplighter's pair style was built for LAMMPS of %s; it is not loaded. "
            "Install Lamplighter again beside this LAMMPS.\n",
            problem.c_str());
  return false;
}

void enter(LAMMPS *lmp, void *handle, RegisterFunction register_style, const char *name,
           Pair *(*creator)(LAMMPS *))
{
  PluginEntry entry{};
  entry.version = LAMPLIGHTER_LAMMPS_DATE;
  entry.style = "pair";
  entry.name = name;
  entry.info = "ML-IAP unified models without a Python build of LAMMPS";
  entry.author = "Lamplighter";
  entry.creator.v1 = creator;
  entry.handle = handle;
  // Replacing the name is the purpose, so LAMMPS need not warn of it at every start.
  lmp->force->pair_map->erase(name);
  register_style(&entry, lmp);
  // A second LAMMPS object in one process is not entered again: the list is the process's.
  (*lmp->force->pair_map)[name] = creator;
}

}    // namespace

extern "C" __attribute__((visibility("default"))) void
lammpsplugin_init(void *pointer, void *handle, void *register_function)
{
  if (!fits(pointer)) return;
  auto *lmp = static_cast<LAMMPS *>(pointer);
  const auto register_style = reinterpret_cast<RegisterFunction>(register_function);
  enter(lmp, handle, register_style, "mliap/unified", create_unified);

  const char *off = std::getenv("LAMPLIGHTER_NO_OVERRIDE");
  if (off && strcmp(off, "") != 0 && strcmp(off, "0") != 0) return;
  const auto found = lmp->force->pair_map->find("mliap");
  if (found != lmp->force->pair_map->end() && found->second != create_mliap)
    built_in_mliap = found->second;
  enter(lmp, handle, register_style, "mliap", create_mliap);
}
