// SPDX-License-Identifier: MIT
#include "backward.h"
#include "forward.h"
#include "neighbors.h"
#include "read_potential.h"
#include "stages.h"

namespace lamplighter {
std::unique_ptr<PotentialBase> build_float(const Tables &tables) {
  return std::make_unique<PotentialOf<float>>(tables);
}
}  // namespace lamplighter
