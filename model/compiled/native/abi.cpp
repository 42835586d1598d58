// SPDX-License-Identifier: MIT
// The plain C functions: arguments checked, exceptions turned into texts.
#pragma GCC visibility push(default)
#include "compiled_abi.h"
#pragma GCC visibility pop

#include <new>

#include "interfaces.h"

using lamplighter::EvaluationBase;
using lamplighter::PotentialBase;
using lamplighter::Tables;

struct lamplighter_potential {
  int real_bytes;
  Tables tables;
  std::unique_ptr<PotentialBase> built;
};

struct lamplighter_evaluation {
  std::unique_ptr<EvaluationBase> self;
};

namespace {

thread_local std::string problem;

template <typename Work> int guarded(Work work) {
  problem.clear();
  try {
    work();
    return 0;
  } catch (const std::bad_alloc &) {
    problem = "no memory left";
  } catch (const std::exception &error) {
    problem = error.what();
  } catch (...) {
    problem = "unknown trouble";
  }
  return 1;
}

}  // namespace

extern "C" {

int lamplighter_compiled_version(void) { return LAMPLIGHTER_COMPILED_VERSION; }
const char *lamplighter_problem(void) { return problem.c_str(); }

lamplighter_potential *lamplighter_new(int real_bytes) {
  if (real_bytes != 4 && real_bytes != 8) return nullptr;
  auto *made = new (std::nothrow) lamplighter_potential;
  if (made) made->real_bytes = real_bytes;
  return made;
}
void lamplighter_free(lamplighter_potential *potential) { delete potential; }

int lamplighter_put(lamplighter_potential *potential, const char *name,
                    const double *values, int64_t n) {
  return guarded([&] { potential->tables.numbers[name].assign(values, values + n); });
}
int lamplighter_put_integers(lamplighter_potential *potential, const char *name,
                             const int64_t *values, int64_t n) {
  return guarded([&] { potential->tables.integers[name].assign(values, values + n); });
}
int lamplighter_build(lamplighter_potential *potential) {
  return guarded([&] {
    potential->built = potential->real_bytes == 4
                           ? lamplighter::build_float(potential->tables)
                           : lamplighter::build_double(potential->tables);
    potential->tables = Tables();
  });
}

lamplighter_evaluation *lamplighter_evaluation_new(const lamplighter_potential *potential,
                                                   int threads, int deterministic) {
  lamplighter_evaluation *made = nullptr;
  guarded([&] {
    lamplighter::require(potential->built != nullptr, "the potential is not built yet");
    auto self = potential->built->evaluation(threads, deterministic != 0);
    made = new lamplighter_evaluation{std::move(self)};
  });
  return made;
}
void lamplighter_evaluation_free(lamplighter_evaluation *one) { delete one; }
int lamplighter_begin(lamplighter_evaluation *one, const lamplighter_atoms *atoms) {
  return guarded([&] { one->self->begin(*atoms); });
}
int lamplighter_forward(lamplighter_evaluation *one, int layer) {
  return guarded([&] { one->self->forward(layer); });
}
int lamplighter_backward(lamplighter_evaluation *one, int layer) {
  return guarded([&] { one->self->backward(layer); });
}
int64_t lamplighter_width(const lamplighter_evaluation *one, int layer) {
  int64_t width = -1;
  guarded([&] { width = one->self->width(layer); });
  return width;
}
void *lamplighter_rows(lamplighter_evaluation *one, int layer) {
  void *rows = nullptr;
  guarded([&] { rows = one->self->rows(layer); });
  return rows;
}
void *lamplighter_gradients(lamplighter_evaluation *one, int layer) {
  void *rows = nullptr;
  guarded([&] { rows = one->self->gradients(layer); });
  return rows;
}
const double *lamplighter_energies(const lamplighter_evaluation *one) {
  return one->self->energies();
}
const double *lamplighter_pair_gradients(const lamplighter_evaluation *one) {
  return one->self->pair_gradients();
}
int64_t lamplighter_bytes(const lamplighter_evaluation *one) { return one->self->bytes(); }
}
