"""What the commands of suites do: run one, put parts together, list, one property."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from lamplighter.console import info, table
from lamplighter.errors import ConfigError, explain
from lamplighter.files import atomic_path

if TYPE_CHECKING:
    from lamplighter.validation.engines.spec import EngineSpec
    from lamplighter.validation.runner import SuiteResult
    from lamplighter.validation.suite import MaterialSpec

DONE = 0
CHECK_FAILED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """How a suite is run, as the command line says it; see ``validate run --help``."""

    jobs: int = 0
    shard: str = ""
    only: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    retry_failed: bool = False
    time_limit: float | None = None
    dask: str = ""
    junit: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertyRequest:
    """How one property is computed, as the command line says it."""

    head: str | None = None
    engine: Literal["ase", "lammps"] = "ase"
    settings: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()


def run(suite: Path, output: Path, request: RunRequest, *, as_json: bool) -> int:
    """Run a suite, write its report, show its tables."""
    from lamplighter.validation.dask_cluster import dask_executor
    from lamplighter.validation.jobs import RunOptions
    from lamplighter.validation.runner import run_suite
    from lamplighter.validation.suite import read_suite
    from lamplighter.validation.tasks import Shard

    options = RunOptions(
        jobs=request.jobs,
        only=request.only,
        engines=request.engines,
        shard=Shard.parse(request.shard) if request.shard else None,
        retry_failed=request.retry_failed,
        time_limit=request.time_limit,
    )
    config = read_suite(suite)
    with ExitStack() as stack:
        if request.dask:
            executor = stack.enter_context(dask_executor(request.dask, request.jobs))
            options = replace(options, executor=executor)
        result = run_suite(config, output, options)
    return _report(result, output, as_json=as_json, junit=request.junit)


def merge(folders: Sequence[Path], output: Path, *, as_json: bool) -> int:
    """Put parts of a suite together and write the report of the whole."""
    from lamplighter.validation.merge import merge as merge_runs

    loaded = merge_runs(folders, output)
    code = _report(loaded.result, output, as_json=as_json)
    for label in loaded.missing if not as_json else ():
        info(f"missing: {label}")
    return CHECK_FAILED if loaded.missing else code


def _report(
    result: SuiteResult, output: Path, *, as_json: bool, junit: Path | None = None
) -> int:
    from lamplighter.validation.report.collect import suite_document
    from lamplighter.validation.report.document import finite
    from lamplighter.validation.report.html import write_report
    from lamplighter.validation.report.terminal import verdict_lines

    document = suite_document(result, folder=output)
    page, _ = write_report(document, output)
    if junit is not None:
        from lamplighter.validation.report.junit import write_junit

        write_junit(document, junit, strict=result.config.strict)
    if as_json:
        info(_json(finite(document)))
        return result.exit_code
    for line in verdict_lines(document):
        info(line)
    for one in (*result.parity, *result.results):
        for check in one.failed():
            if check.name == "calculation":
                info(f"CRASHED {one.property} {one.material} {one.engine.name}:")
                info(f"  {check.text}")
    info(f"report: {page}")
    return result.exit_code


def show(*, as_json: bool) -> int:
    """Show properties, materials and references that suites can name."""
    from lamplighter.validation.listing import listing

    found = listing()
    if as_json:
        info(_json(found))
        return DONE
    table(
        [
            (p["name"], " ".join(p["applies_to"]), p["description"], p["package"])
            for p in found["properties"]
        ],
        ("property", "starts from", "what it gives", "package"),
    )
    table(
        [(m["name"], m["kind"], m["formula"]) for m in found["materials"]],
        ("built-in material", "kind", "formula"),
    )
    table(
        [
            (b["name"], b["domain"], b["version"], b["unavailable"] or b["needs"])
            for b in found["benchmarks"]
        ],
        ("benchmark", "domain", "protocol", "needs"),
    )
    table(
        [
            (r["material"], r["quantities"], ", ".join(r["levels"]))
            for r in found["references"]
        ],
        ("references of", "quantities", "levels of theory"),
    )
    return DONE


def compute_property(
    name: str,
    model: Path,
    structure: Path | None,
    request: PropertyRequest,
    *,
    as_json: bool,
) -> int:
    """Compute one property of one structure or of the model, a suite of one."""
    from lamplighter.model import read_header
    from lamplighter.validation.runner import run_suite
    from lamplighter.validation.show import show_results
    from lamplighter.validation.suite import (
        ModelSpec,
        SuiteConfig,
        settings_from,
    )

    header = read_header(model).config
    head = header.heads[header.head_index(request.head)]
    elements = request.elements
    if structure is None and not elements:
        elements = tuple(e for e in header.elements if e in head.reference_energies)
    suite = SuiteConfig(
        model=ModelSpec(file=model, head=head.name),
        engines=(_alone(request.engine),),
        materials=() if structure is None else (_material(structure),),
        properties={name: settings_from(name, _settings(request.settings))},
        elements=elements,
    )
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as folder:
        result = run_suite(suite, Path(folder))
    return DONE if show_results(result.results, as_json=as_json) else CHECK_FAILED


def run_benchmarks(
    names: Sequence[str],
    model: Path,
    request: PropertyRequest,
    *,
    data: Path | None,
    output: Path | None,
    as_json: bool,
) -> int:
    """Run benchmarks on a model; show scores, write everything that was measured."""
    from lamplighter.model import read_header
    from lamplighter.validation.benchmarks import CATALOGUE, benchmark, overall
    from lamplighter.validation.open_engines import (
        one_thread_each,
        open_engine,
        read_card,
    )
    from lamplighter.validation.suite import ModelSpec

    free = [p.name for p in CATALOGUE.values() if not (p.needs or p.unavailable)]
    chosen = [benchmark(name) for name in names or free]
    header = read_header(model).config
    head = header.heads[header.head_index(request.head)].name
    card = read_card(ModelSpec(file=model, head=head))
    elements = request.elements or card.elements
    spec = _alone(request.engine)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lamplighter-"))
        stack.enter_context(one_thread_each())
        engine = stack.enter_context(open_engine(spec, card, elements, Path(folder)))
        results = [protocol.run(engine, elements, data) for protocol in chosen]
    record = {
        "results": [result.to_dict() for result in results],
        "scores": overall(results),
    }
    if output is not None:
        with atomic_path(output) as temporary:
            temporary.write_text(_json(record) + "\n", encoding="utf-8")
    if as_json:
        info(_json(record))
        return DONE
    rows = [
        (r.name, name, f"{r.values[name]:.4g}", r.units[name], f"{score:.3f}")
        for r in results
        for name, score in r.scores.items()
    ]
    table(rows, ("benchmark", "metric", "value", "unit", "score"))
    for result in results:
        info(f"{result.name}, protocol {result.version}: {result.score:.3f}")
        for text in result.deviations:
            info(f"  not comparable: {text}")
    return DONE


def _alone(kind: Literal["ase", "lammps"]) -> EngineSpec:
    """Return an engine that nothing is compared with: the faster backend will do."""
    from lamplighter.validation.engines.spec import EngineSpec

    return EngineSpec(kind=kind, backend="auto" if kind == "ase" else "reference")


def _material(structure: Path) -> MaterialSpec:
    """Return a material of a file, or a built-in one where there is no such file."""
    from lamplighter.validation.materials import BUILT_IN, structure_of
    from lamplighter.validation.suite import MaterialSpec

    if not structure.exists() and str(structure) in BUILT_IN:
        return MaterialSpec(name=str(structure))
    atoms = structure_of(structure.name, structure)
    name = atoms.get_chemical_formula(empirical=True)
    return MaterialSpec(name=name, structure=structure)


def _settings(words: Sequence[str]) -> dict[str, Any]:
    """Return settings of words like ``points=15``."""
    from lamplighter.validation.yaml_text import read_yaml

    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(
                explain("--set", got=repr(word), wanted="NAME=VALUE, as points=15")
            )
        if key.strip() in found:
            raise ConfigError(explain("--set", got=f"{key.strip()} twice"))
        try:
            found[key.strip()] = read_yaml(value)
        except yaml.YAMLError as error:
            raise ConfigError(explain(f"--set {key}", got=error)) from error
    return found


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False)
