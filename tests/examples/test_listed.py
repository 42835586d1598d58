"""docs/examples.md lists every example, and the READMEs say what a user asks."""

import re


def test_every_example_is_listed(root):
    page = (root / "docs" / "examples.md").read_text()
    listed = set(re.findall(r"\]\(\.\./examples/([\w-]+)/?", page))
    folders = {path.name for path in (root / "examples").iterdir() if path.is_dir()}
    assert listed == folders


def test_every_readme_has_commands_and_a_time(root):
    for readme in sorted((root / "examples").glob("*/README.md")):
        text = readme.read_text()
        assert re.search(r"second|minute", text), f"{readme}: how long it takes"
        assert re.search(r"lmp|python|lamplighter|pip", text), f"{readme}: a command"
