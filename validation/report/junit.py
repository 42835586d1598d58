"""The verdicts as JUnit XML, for systems that test every commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from lamplighter.files import atomic_path
from lamplighter.validation.report.document import Document, check_document


def write_junit(document: Document, path: str | Path, *, strict: bool = False) -> Path:
    """Write one test case for each parity structure, quantity and calculation.

    A structure or a calculation that fails is a failure. So is a quantity that misses
    its reference in a strict suite; else it is skipped with the difference, as is what
    has no reference at the level of theory.

    Args:
        document: of the report.
        path: the file to write.
        strict: whether physics counts.

    Raises:
        DataError: the document does not follow the schema.
    """
    document = check_document(document)
    suites = ET.Element("testsuites", name=_printable(document["title"]))
    _suite(suites, "parity", [_parity(row) for row in document["parity"]["rows"]])
    points = [_point(point) for point in document["parity"].get("points", ())]
    _suite(suites, "parity points", points)
    _suite(suites, "calculations", _calculations(document))
    for table in document["properties"]:
        rows = [_quantity(row, document, strict) for row in table["rows"]]
        _suite(suites, f"{table['property']} {table['material']}", rows)
    missing = [
        _case(name, "error", "no result: run the suite again")
        for name in document.get("missing", ())
    ]
    _suite(suites, "missing", missing)
    ET.indent(suites)
    path = Path(path)
    with atomic_path(path) as temporary:
        tree = ET.ElementTree(suites)
        tree.write(temporary, encoding="utf-8", xml_declaration=True)
    return path


def _suite(parent: ET.Element, name: str, cases: list[ET.Element]) -> None:
    if not cases:
        return
    counts = {
        f"{kind}s" if kind != "skipped" else kind: sum(
            case.find(kind) is not None for case in cases
        )
        for kind in ("failure", "error", "skipped")
    }
    numbers = {key: str(value) for key, value in counts.items()}
    suite = ET.SubElement(
        parent, "testsuite", name=_printable(name), tests=str(len(cases))
    )
    suite.attrib.update(numbers)
    for case in cases:
        case.set("classname", _printable(name))
        suite.append(case)


def _case(name: str, outcome: str = "", message: str = "") -> ET.Element:
    case = ET.Element("testcase", name=_printable(name))
    if outcome:
        ET.SubElement(case, outcome, message=_printable(message))
    return case


def _printable(text: str) -> str:
    """Return the text without control characters, which XML cannot hold."""
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def _parity(row: dict[str, Any]) -> ET.Element:
    numbers = ", ".join(
        f"{key} {value:.3g}"
        for key, value in row["values"].items()
        if value is not None
    )
    outcome = "failure" if row["verdict"] == "fail" else ""
    return _case(row["structure"], outcome, f"the engines differ: {numbers}")


def _point(point: dict[str, Any]) -> ET.Element:
    outcome = {"fail": "failure", "not applicable": "skipped"}.get(point["verdict"], "")
    value = point.get("value")
    measured = "" if value is None else f"{value:.3g} {point.get('unit', '')}"
    text = ": ".join(part for part in (measured, point.get("text", "")) if part)
    name = f"{point['number']}. {point['label']}, {point['material']}"
    return _case(name, outcome, text)


def _calculations(document: Document) -> list[ET.Element]:
    """Return one case for each property, material and engine, failed by its checks."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for check in document["checks"]:
        words = (check["property"], check.get("material", ""), check["engine"])
        groups.setdefault(" ".join(w for w in words if w), []).append(check)
    cases = []
    for name, checks in groups.items():
        bad = [c for c in checks if not c["ok"] and c.get("hard", True)]
        text = "; ".join(f"{c['name']}: {c['text']}" for c in bad)
        cases.append(_case(name, "failure" if bad else "", text))
    return cases


def _quantity(row: dict[str, Any], document: Document, strict: bool) -> ET.Element:
    values = ", ".join(
        f"{engine} {value:.6g}"
        for engine, value in row["engines"].items()
        if value is not None
    )
    unit = row["unit"]
    text = f"{values} {unit}" if values else "no value"
    if row.get("reference") is not None:
        text += f", reference {row['reference']:.6g} {unit}"
        text += f" ({row.get('reference_text', '')}), allowed {row.get('tolerance')}"
    verdict = row["verdict"]
    if row["engine_verdict"] == "fail" and not document.get("comparison"):
        return _case(row["quantity"], "failure", f"the engines differ: {text}")
    if verdict == "invalid":
        return _case(row["quantity"], "failure", row.get("note", ""))
    if verdict == "miss":
        return _case(row["quantity"], "failure" if strict else "skipped", text)
    if verdict == "info":
        note = row.get("note") or "no reference"
        return _case(row["quantity"], "skipped", f"{note}: {text}")
    return _case(row["quantity"])
