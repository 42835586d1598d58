"""The commands `lamplighter validate ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from lamplighter.cli import suite as cli_suite
from lamplighter.cli.examples import add_examples
from lamplighter.cli.parity import parity
from lamplighter.cli.refs import refs
from lamplighter.cli.report import add_to
from lamplighter.cli.types import Dtype, Model

validate = App(name="validate")
validate.command(refs)
add_to(validate)
cli_suite.register(validate)


validate.command(parity)


@validate.command(name="model")
def validate_model(
    file: Model,
    /,
    *,
    head: str | None = None,
    elements: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    dtype: Dtype = "float64",
    device: str = "cpu",
    json: Path | None = None,
) -> int:
    """Physical checks without reference data: symmetry, smoothness, locality.

    Args:
        file: A potential (safetensors), or model:base for the shipped one.
        head: The head to check; may be left out when there is only one.
        elements: What the test structures are made of: --elements Mg O. At most four
            of the head's elements when left out.
        dtype: Precision of the evaluation; the tolerances follow it.
        device: Where to compute, as torch names it.
        json: Also write every record into this file.
    """
    from lamplighter.commands import model_checks

    return model_checks.check_model(
        file, head, elements, dtype=dtype, device=device, output=json
    )


add_examples(validate, ("validate",))
