"""The validation report: one HTML page and one JSON document with the same content.

The JSON document (schema version 1, `report.schema.json`) is the source; the page is
made from it alone, so that it can be made again without a model, LAMMPS or torch.
"""

from lamplighter.validation.report.document import SCHEMA_VERSION, check_document
from lamplighter.validation.report.html import (
    render,
    report_from_json,
    write_report,
)

__all__ = [
    "SCHEMA_VERSION",
    "check_document",
    "render",
    "report_from_json",
    "write_report",
]
