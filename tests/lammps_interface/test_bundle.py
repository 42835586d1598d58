"""The ML-IAP file is data: what is written comes back, what is foreign is refused."""

import dataclasses
import io
import json
import os
import pickle
import zipfile

import pytest
import torch
from hand_pickles import rewritten
from safetensors import torch as safetensors

from lamplighter.errors import ArtifactError, ConfigError
from lamplighter.lammps_interface import bundle
from lamplighter.lammps_interface.bundle import Bundle, BundleHeader

HEADER = BundleHeader(
    model_sha256="0" * 64,
    model_name="base.safetensors",
    head="pbe",
    level_of_theory="PBE",
    dispersion="none",
    licence="CC-BY-4.0",
    elements=("O", "Mg"),
    cutoff=6.0,
    n_layers=2,
    message_width=64,
    dtype="float64",
    self_check={"energy": 1e-13},
    lamplighter_version="0.1.0",
    torch_version="2.13.0",
)
CONTENT = Bundle(header=HEADER, potential=bytes(range(256)) * 40)


@pytest.fixture
def file_bytes() -> bytes:
    return bundle.to_file_bytes(bundle.pack(CONTENT))


def torch_archive(obj: object) -> bytes:
    stream = io.BytesIO()
    torch.save(obj, stream)
    return stream.getvalue()


def test_what_is_written_is_read(tmp_path):
    bundle.write(tmp_path / "m.pt", bundle.pack(CONTENT))
    assert bundle.read(tmp_path / "m.pt") == CONTENT
    assert [p.name for p in tmp_path.iterdir()] == ["m.pt"]


COMMITTEE = Bundle(
    header=dataclasses.replace(
        HEADER,
        n_members=12,
        member_names=("base.safetensors",) * 12,
        member_sha256=tuple(f"{k:064x}" for k in range(12)),
    ),
    potential=CONTENT.potential,
    others=tuple(bytes([k]) * (20 + k) for k in range(11)),
)


def test_a_committee_comes_back_in_order(tmp_path):
    bundle.write(tmp_path / "m.pt", bundle.pack(COMMITTEE))
    assert bundle.read(tmp_path / "m.pt") == COMMITTEE
    assert COMMITTEE.members == (COMMITTEE.potential, *COMMITTEE.others)


@pytest.mark.parametrize("n_members", [1, 11, 13, "all"])
def test_a_committee_of_another_size_than_it_says(n_members):
    header = dataclasses.replace(COMMITTEE.header, n_members=n_members)
    payload = bundle.pack(dataclasses.replace(COMMITTEE, header=header))
    with pytest.raises(ArtifactError, match=rf"damaged.*says {n_members!r} member"):
        bundle.unpack(payload)


def test_a_committee_that_lacks_a_member():
    tensors = {name: torch.zeros(3) for name in ("potential", "potential.2")}
    text = dataclasses.replace(HEADER, n_members=2).to_json()
    payload = safetensors.save(tensors, metadata={"lamplighter_bundle": text})
    with pytest.raises(ArtifactError, match=r"potential, potential\.2, where it says"):
        bundle.unpack(payload)


def test_a_header_without_members_is_that_of_one():
    fields = dataclasses.asdict(HEADER)
    for name in ("n_members", "member_names", "member_sha256"):
        del fields[name]
    assert BundleHeader.from_json(json.dumps(fields), name="m.pt") == HEADER


def test_file_is_the_same_for_the_same_content(file_bytes):
    assert bundle.to_file_bytes(bundle.pack(CONTENT)) == file_bytes


def test_torch_load_calls_the_one_loader(monkeypatch, file_bytes):
    seen = []
    monkeypatch.setattr(
        bundle, "_load", lambda payload: seen.append(payload) or "model"
    )
    assert torch.load(io.BytesIO(file_bytes), weights_only=False) == "model"
    assert bundle.unpack(seen[0]) == CONTENT


def test_reading_does_not_call_the_loader(monkeypatch, file_bytes):
    monkeypatch.setattr(bundle, "_load", lambda _: pytest.fail("the loader was called"))
    assert bundle.from_file_bytes(file_bytes, name="m.pt") == CONTENT


class Malicious:
    """Creates a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("wrap", [torch_archive, pickle.dumps], ids=["archive", "bare"])
def test_nothing_in_a_malicious_file_is_executed(tmp_path, wrap):
    trap = tmp_path / "trap"
    evil = tmp_path / "evil.pt"
    evil.write_bytes(wrap(Malicious(trap)))
    with pytest.raises(ArtifactError, match="nothing in it was executed"):
        bundle.read(evil)
    assert not trap.exists()
    torch.load(evil, weights_only=False) if wrap is torch_archive else pickle.loads(
        evil.read_bytes()
    )
    assert trap.exists()  # the trap works where pickle is trusted


def test_a_second_call_behind_the_loader_is_refused(tmp_path, file_bytes):
    trap = tmp_path / "trap"
    # POP the model, then call os.mkdir(trap): the pickle begins like a bundle.
    more = b"0" + pickle.dumps(Malicious(trap), protocol=2)[2:]
    content = rewritten(file_bytes, lambda data: data[:-1] + more)
    with pytest.raises(ArtifactError, match="not a Lamplighter ML-IAP file"):
        bundle.from_file_bytes(content, name="m.pt")
    assert not trap.exists()


def test_another_function_of_our_module_is_refused(file_bytes):
    content = rewritten(file_bytes, lambda d: d.replace(b"_load", b"write"))
    with pytest.raises(ArtifactError, match="more in it than"):
        bundle.from_file_bytes(content, name="m.pt")


@pytest.mark.parametrize("kept", [1, 30, 500, 5000, -1])
def test_truncated_file(file_bytes, kept):
    with pytest.raises(ArtifactError, match="damaged or truncated"):
        bundle.from_file_bytes(file_bytes[:kept] if kept != 1 else b"", name="m.pt")


def test_flipped_bit_in_the_weights(file_bytes):
    where = file_bytes.index(bytes(range(256)))
    broken = file_bytes[:where] + b"\xff" + file_bytes[where + 1 :]
    with pytest.raises(ArtifactError, match="damaged"):
        bundle.from_file_bytes(broken, name="m.pt")


def test_truncated_pickle(file_bytes):
    content = rewritten(file_bytes, lambda data: data[:100])
    with pytest.raises(ArtifactError, match="malformed"):
        bundle.from_file_bytes(content, name="m.pt")


@pytest.mark.parametrize("cut", [4, 100, 4000])
def test_truncated_payload(cut):
    with pytest.raises(ArtifactError, match="damaged"):
        bundle.unpack(bundle.pack(CONTENT)[:cut])


def test_payload_without_our_header():
    payload = safetensors.save({"potential": torch.zeros(3)})
    with pytest.raises(ArtifactError, match="without a header"):
        bundle.unpack(payload)


def with_header(**changes) -> bytes:
    fields = dataclasses.asdict(HEADER) | changes
    raw = torch.zeros(3, dtype=torch.uint8)
    return safetensors.save(
        {"potential": raw}, metadata={"lamplighter_bundle": json.dumps(fields)}
    )


def test_wrong_kind():
    with pytest.raises(ArtifactError, match="kind 'checkpoint'; wanted: 'mliap'"):
        bundle.unpack(with_header(kind="checkpoint"))


def test_newer_format_version():
    with pytest.raises(ArtifactError, match=r"newer Lamplighter.*format version 99"):
        bundle.unpack(with_header(format_version=99))


def test_senseless_format_version():
    with pytest.raises(ArtifactError, match="format version 'one'"):
        bundle.unpack(with_header(format_version="one"))


def test_header_that_lacks_entries():
    raw = torch.zeros(3, dtype=torch.uint8)
    text = json.dumps({"kind": "mliap", "format_version": 1, "elements": ["O"]})
    payload = safetensors.save(
        {"potential": raw}, metadata={"lamplighter_bundle": text}
    )
    with pytest.raises(ArtifactError, match="lacks entries"):
        bundle.unpack(payload)


def test_header_that_is_not_json():
    raw = torch.zeros(3, dtype=torch.uint8)
    payload = safetensors.save({"potential": raw}, metadata={"lamplighter_bundle": "{"})
    with pytest.raises(ArtifactError, match="not JSON"):
        bundle.unpack(payload)


def test_payload_without_potential():
    payload = safetensors.save(
        {"other": torch.zeros(3)}, metadata={"lamplighter_bundle": HEADER.to_json()}
    )
    with pytest.raises(ArtifactError, match="tensors cannot be read"):
        bundle.unpack(payload)


def test_torch_checkpoint_is_named():
    content = torch_archive({"weights": torch.zeros(3)})
    with pytest.raises(ArtifactError, match="a torch checkpoint"):
        bundle.from_file_bytes(content, name="m.pt")


def test_pickle_of_plain_data():
    with pytest.raises(ArtifactError, match="a pickle without a model"):
        bundle.from_file_bytes(torch_archive(3), name="m.pt")


def test_ml_iap_file_of_another_program(file_bytes):
    # What mace-torch writes begins with a global of its wrapper's module.
    foreign = b"\x80\x02cmace.calculators.lammps_mliap_mace\nLAMMPS_MLIAP_MACE\n)\x81."
    content = rewritten(file_bytes, lambda _: foreign)
    with pytest.raises(ArtifactError, match=r"another program, module 'mace\.calc"):
        bundle.from_file_bytes(content, name="mace-mliap_lammps.pt")


def test_torchscript_model_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr("m/data.pkl", b"")
        archive.writestr("m/constants.pkl", b"")
    with pytest.raises(ArtifactError, match="TorchScript"):
        bundle.read(tmp_path / "m.pt")


def test_zip_without_pickle(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr("readme", b"")
    with pytest.raises(ArtifactError, match="zip archive without a torch pickle"):
        bundle.read(tmp_path / "m.pt")


def test_compressed_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", b"0" * 10_000)
    with pytest.raises(ArtifactError, match="compressed archive"):
        bundle.read(tmp_path / "m.pt")


def test_unconverted_model_says_how_to_convert(tmp_path):
    (tmp_path / "base.safetensors").write_bytes(safetensors.save({"w": torch.zeros(3)}))
    with pytest.raises(ArtifactError, match=r"not converted.*lamplighter convert"):
        bundle.read(tmp_path / "base.safetensors")


def test_any_other_file(tmp_path):
    (tmp_path / "notes.txt").write_text("hello, this is not a model")
    with pytest.raises(ArtifactError, match="starts with b'hello"):
        bundle.read(tmp_path / "notes.txt")


def test_missing_file(tmp_path):
    with pytest.raises(ArtifactError, match="cannot be read; got: No such file"):
        bundle.read(tmp_path / "absent.pt")


def test_missing_folder(tmp_path):
    with pytest.raises(ConfigError, match="folder does not exist"):
        bundle.write(tmp_path / "absent" / "m.pt", bundle.pack(CONTENT))
