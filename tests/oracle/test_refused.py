"""Checkpoints with what no published checkpoint has are refused, and by name."""

import gzip
import json
import os
from pathlib import Path

import pytest

from lamplighter.errors import LamplighterError
from lamplighter.model.mace_import import import_mace

FOLDER = Path(
    os.environ.get("LAMPLIGHTER_ORACLE", Path(__file__).with_name("fixtures"))
)
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
REFUSED = {
    name: entry["refused"] for name, entry in MANIFEST.items() if "refused" in entry
}


def test_there_is_something_to_refuse() -> None:
    assert len(REFUSED) >= 2


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_the_message_names_the_feature(name: str, tmp_path: Path) -> None:
    path = tmp_path / "strange.model"
    path.write_bytes(gzip.decompress((FOLDER / f"{name}.refused.gz").read_bytes()))
    with pytest.raises(LamplighterError, match=REFUSED[name]):
        import_mace(path)
