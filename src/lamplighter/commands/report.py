"""What `lamplighter validate report` and `lamplighter validate compare` do.

Nothing here needs torch: a report is made on any machine to which a run was copied.
"""

from __future__ import annotations

from pathlib import Path

from lamplighter.console import info
from lamplighter.validation.report.html import read_document, write_page

DONE = 0
CHECK_FAILED = 1


def report(run: Path, output: Path | None, junit: Path | None, title: str) -> int:
    """Write the page of a run, or of a document; return the exit code of the run."""
    strict = False
    if run.is_file():
        document = read_document(run)
        page = output or run.with_suffix(".html")
    else:
        from lamplighter.validation.report.collect import run_document
        from lamplighter.validation.report.view import read_run

        view = read_run(run)
        document = run_document(view, title=title)
        page = output or run / "report.html"
        if page.parent.resolve() != run.resolve():
            document["files"] = []  # the links lead from the folder of the run
        strict = view.settings.get("strict") == "yes"
    if junit is not None:
        from lamplighter.validation.report.junit import write_junit

        write_junit(document, junit, strict=strict)
        info(f"JUnit: {junit}")
    write_page(document, page)
    info(f"{document['verdict']['headline']}")
    info(f"report: {page}")
    state = document["verdict"]["state"]
    failed = state == "fail" or (state == "miss" and strict)
    return CHECK_FAILED if failed else DONE


def compare(
    runs: tuple[Path, Path],
    output: Path,
    engines: tuple[str, str],
    labels: tuple[str, str],
    title: str,
) -> int:
    """Write the page of two runs."""
    from lamplighter.validation.report.pair import pair_document
    from lamplighter.validation.report.view import read_run

    first, second = (read_run(run) for run in runs)
    document = pair_document(first, second, engines=engines, labels=labels, title=title)
    write_page(document, output)
    verdict = document["verdict"]
    info(verdict["headline"])
    for line in verdict["details"]:
        info(f"  {line}")
    info(f"report: {output}")
    return DONE
