"""Shards of embeddings: killed runs, full disks, files that change, two devices."""

import errno
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file, save_file

from stages.core.runtime.errors import StudyError
from stages.core.vision import devices as on_devices
from stages.core.vision import shards as of_shards
from stages.core.vision.devices import EncoderSource, ShardTask, embed_shard
from stages.core.vision.inputs import Noise, cells_of
from stages.core.vision.loading import load_encoder
from stages.core.vision.shards import (
    finished_shards,
    read_shard,
    remove_shards,
    require_room,
    shards_of,
    weights_digest,
    write_shard,
)
from stages.core.vision.sweep import Sweep
from tests.study import ROOT, started
from tests.test_embed import CPU, SETTINGS, fails, options, run, write_source
from tests.test_encoder import picture

# Of 15 images a shard has 4 here, and a CPU encodes 16 rows at a time whatever a batch holds.
IMAGES = 4
SHARDS = 4


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_shards, "images_of_shard", lambda *_: IMAGES)
    monkeypatch.setattr("stages.embed.images_of_shard", lambda *_: IMAGES)
    monkeypatch.setattr("stages.core.runtime.parallel.available_cores", lambda: 1)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def done(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of an unbroken run, in one shard."""
    out = tmp_path_factory.mktemp("done")
    assert run(source, out).exit_code == 0
    return out


def files(out: Path) -> dict[str, bytes]:
    """The outputs of a run, and what it left behind."""
    return {
        str(file.relative_to(out)): file.read_bytes()
        for file in out.rglob("*")
        if file.is_file() and file.name != "params.yaml"
    }


def shards_in(out: Path) -> list[Path]:
    return sorted((out / "shards").glob("embed-*/shard-*.safetensors"))


class Killed(Exception):
    """What ends a run at once."""


def run_until(source: Path, out: Path, written: int, **changes: object) -> list[Path]:
    """Run until so many shards are written; return them."""
    count = 0

    def write(*given: object) -> None:
        nonlocal count
        if count == written:
            raise Killed
        count += 1
        write_shard(*given)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(of_shards, "write_shard", write)
        result = run(source, out, **changes)
    assert isinstance(result.exception, Killed)
    assert len(shards_in(out)) == written
    assert not (out / "embeddings").exists()
    return shards_in(out)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the shards that are written from here on."""
    names: list[str] = []

    def write(shard: of_shards.Shard, *given: object) -> None:
        names.append(shard.file.stem)
        write_shard(shard, *given)

    monkeypatch.setattr(of_shards, "write_shard", write)
    return names


# Runs that are broken off


@pytest.mark.parametrize("written", range(SHARDS))
def test_a_run_goes_on_where_it_was_broken_off(source, done, tmp_path, monkeypatch, written):
    run_until(source, tmp_path, written)
    names = counted(monkeypatch)
    resumed = run(source, tmp_path)
    said = re.findall(r"embed-[0-9a-f]{16}: resuming after (\d+) of 15 images", resumed.output)
    assert said == ([str(written * IMAGES)] if written else [])
    assert names == [f"shard-{i:06d}" for i in range(written, SHARDS)]
    assert files(tmp_path) == files(done)
    assert not list((tmp_path / "shards").iterdir())


def test_a_run_that_is_broken_off_once_all_is_computed_encodes_nothing_anew(
    source, done, tmp_path, monkeypatch
):
    with monkeypatch.context() as patched:
        patched.setattr("stages.embed.write_json", lambda *_: (_ for _ in ()).throw(Killed))
        assert isinstance(run(source, tmp_path).exception, Killed)
    assert len(shards_in(tmp_path)) == SHARDS
    names = counted(monkeypatch)
    assert "resuming after 15 of 15 images" in run(source, tmp_path).output
    assert not names
    assert files(tmp_path) == files(done)


# Runs that are forked off one process, which has imported all. Each is killed at a random moment:
# a moment after it has gone on from what the ones before it did, and has written so many shards.
KILLING = """
import os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from stages.core.vision import shards
import stages.embed
stages.embed.images_of_shard = shards.images_of_shard = lambda *_: {images}
chance = random.Random({seed})
def there():
    try:
        return len(list(Path({shards!r}).glob("embed-*/shard-*.safetensors")))
    except FileNotFoundError:  # a run that ends removes the folder, just now
        return 0
for kill in range({kills}):
    child, ended = os.fork(), 0
    if not child:
        stages.embed.embed(sys.argv[1:])
    more = chance.choice([0, there() + 1])
    while not ended and there() < more:
        ended, _ = os.waitpid(child, os.WNOHANG)
    time.sleep(chance.uniform(0, 0.05 if more else 1))
    if not ended:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    print("killed" if not ended and os.WIFSIGNALED(status) else "too late", there(), flush=True)
"""


def kill_at_random(source: Path, out: Path, kills: int, seed: int) -> list[str]:
    """Start a run so often, and kill each; say what became of each, and how many shards it left."""
    given = {"root": str(ROOT), "images": IMAGES, "shards": str(out / "shards")}
    code = KILLING.format(**given, kills=kills, seed=seed)
    with started(out, sys.executable, "-c", code, *options(source, out)) as (process, printed):
        assert process.wait(600) == 0, printed.read_text()
    return re.findall(r"(?:killed|too late) \d", printed.read_text())


@pytest.mark.parametrize(
    ("kills", "seed"),
    [
        (2, 0),
        *(
            pytest.param(6, seed, marks=pytest.mark.slow)
            for seed in range(1, 1 + int(os.environ.get("INTERRUPTION_ROUNDS", "2")))
        ),
    ],
)
def test_killed_processes_end_with_the_bytes_of_an_unbroken_one(
    source, done, tmp_path, kills, seed
):
    out = tmp_path / "out"
    out.mkdir()
    outcomes = kill_at_random(source, out, kills, seed)
    print(outcomes)
    assert len(outcomes) == kills
    assert "killed" in " ".join(outcomes)
    assert run(source, out).exit_code == 0
    assert files(out) == files(done), outcomes
    assert not list((out / "shards").iterdir())


# What starts anew


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"noise_kind": "uniform"},
        {"noise_levels": [0.0, 0.5]},
        {"draws": 1},
        {"noise_space": "pixel"},
        {"noise_stream": "philox"},
        {"precision": "bf16"},
    ],
    ids=str,
)
def test_other_settings_start_anew_and_remove_the_shards_of_the_others(source, tmp_path, changes):
    before = run_until(source, tmp_path, 2)
    after = run_until(source, tmp_path, 1, **changes)
    assert after[0].parent != before[0].parent
    assert [folder.name for folder in (tmp_path / "shards").iterdir()] == [after[0].parent.name]


@pytest.mark.parametrize("changes", [{"batch_size": 9}, {"templates": ["{}"]}], ids=str)
def test_settings_that_change_no_embedding_of_an_image_go_on(source, tmp_path, changes):
    run_until(source, tmp_path, 2)
    assert "resuming after 8 of 15 images" in run(source, tmp_path, **changes).output


def other_weights(folder: Path, _: pytest.MonkeyPatch) -> None:
    file = folder / "model" / "open_clip_model.safetensors"
    weights = load_file(file)
    weights["visual.proj"][0, 0] += 1e-3
    save_file(weights, file)


def other_version(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = of_shards.version
    monkeypatch.setattr(of_shards, "version", lambda name: f"{known(name)}.post1")


def other_code(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    core = shutil.copytree(of_shards.CORE / "vision", _ / "core" / "vision").parent
    assert of_shards.code_digest() != ""
    with (core / "vision" / "noise.py").open("a") as file:
        file.write("# changed\n")
    monkeypatch.setattr(of_shards, "CORE", core)


def other_hardware(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_shards, "description_of", lambda _: "another processor")


@pytest.mark.parametrize("change", [other_weights, other_version, other_code, other_hardware])
def test_other_weights_code_or_hardware_start_anew(source, tmp_path, monkeypatch, change):
    copy = shutil.copytree(source, tmp_path / "source")
    before = run_until(copy, tmp_path / "out", 2)
    change(copy, monkeypatch)
    after = run_until(copy, tmp_path / "out", 1)
    assert after[0].parent != before[0].parent


# Images that have changed


def test_shards_of_images_that_changed_are_computed_again(source, tmp_path, monkeypatch):
    copy = shutil.copytree(source, tmp_path / "source")
    out = tmp_path / "out"
    run_until(copy, out, 3)
    ids = pd.read_csv(copy / "images.csv")["id"]
    kept = (copy / "images" / "images" / ids[5]).stat()
    picture(999, 40, 36).save(copy / "images" / "images" / ids[5])
    os.utime(copy / "images" / "images" / ids[5], ns=(kept.st_atime_ns, kept.st_mtime_ns))
    names = counted(monkeypatch)
    resumed = run(copy, out)
    assert "shard-000001.safetensors: of images that have changed; computed again" in resumed.output
    assert "resuming after 8 of 15 images" in resumed.output
    assert names == ["shard-000001", "shard-000003"]
    assert run(copy, tmp_path / "whole").exit_code == 0
    assert files(out) == files(tmp_path / "whole")


def test_an_image_that_is_gone_moves_those_after_it(source, tmp_path, monkeypatch):
    copy = shutil.copytree(source, tmp_path / "source")
    out = tmp_path / "out"
    run_until(copy, out, 3)
    index = pd.read_csv(copy / "images.csv")
    index.drop(6).to_csv(copy / "images.csv", index=False)
    names = counted(monkeypatch)
    said = run(copy, out).output
    assert "shard-000001.safetensors: of images that have changed, and 1 more; computed" in said
    assert names == ["shard-000001", "shard-000002", "shard-000003"]
    assert run(copy, tmp_path / "whole").exit_code == 0
    assert files(out) == files(tmp_path / "whole")


# Damage


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def a_bit_turned(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-3] ^= 4
    file.write_bytes(content)


def of_another_shape(file: Path) -> None:
    save_file({"rows": load_file(file)["rows"][:2]}, file)


def without_a_hash(file: Path) -> None:
    save_file(load_file(file), file)


DAMAGES = [cut_short, emptied, a_bit_turned, of_another_shape, without_a_hash]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_shard_is_said_in_one_line_and_computed_again(
    source, done, tmp_path, monkeypatch, damage
):
    damage(run_until(source, tmp_path, 3)[1])
    names = counted(monkeypatch)
    resumed = run(source, tmp_path)
    lines = [line for line in resumed.output.splitlines() if "damaged (" in line]
    assert len(lines) == 1
    assert re.search(r"shard-000001.safetensors: damaged \(.+\); computed again", lines[0])
    assert names == ["shard-000001", "shard-000003"]
    assert files(tmp_path) == files(done)


def test_a_shard_that_is_damaged_before_it_is_joined_is_computed_again(
    source, done, tmp_path, monkeypatch
):
    join, damaged = of_shards.join, []

    def damage_and_join(shards: list, arrays: dict) -> list:
        if not damaged:
            damaged.append(shards[2].file)
            a_bit_turned(shards[2].file)
        return join(shards, arrays)

    monkeypatch.setattr("stages.embed.join", damage_and_join)
    said = run(source, tmp_path).output
    assert "shard-000002.safetensors: damaged (other numbers than were written)" in said
    assert files(tmp_path) == files(done)


def test_a_disk_that_damages_all_that_is_written_is_said(source, tmp_path, monkeypatch):
    def write(shard: of_shards.Shard, *given: object) -> None:
        write_shard(shard, *given)
        a_bit_turned(shard.file)

    monkeypatch.setattr(of_shards, "write_shard", write)
    fails(run(source, tmp_path), "is damaged at once; give --shards a folder on another disk")
    assert not (tmp_path / "embeddings").exists()


def test_what_else_lies_beside_shards_is_left_alone(tmp_path):
    for name in ("embed-0123456789abcdef", "embed-mine", "photos"):
        (tmp_path / name).mkdir()
    (tmp_path / "embed-0123456789abcdef" / "shard-000000.safetensors").touch()
    remove_shards(tmp_path / "not there")
    remove_shards(tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["embed-mine", "photos"]


# A full disk


class Full:
    """A file that takes no more than so many bytes in all, as a disk that fills up."""

    left = 0

    def __init__(self, file: object) -> None:
        self.file = file

    def __enter__(self) -> "Full":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, content: bytes) -> None:
        taken = content[: Full.left]
        Full.left -= len(taken)
        self.file.write(taken)
        if len(taken) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def flush(self) -> None:
        self.file.flush()

    def fileno(self) -> int:
        return self.file.fileno()


def test_a_disk_that_fills_up_is_said_and_what_is_done_is_kept(source, done, tmp_path, monkeypatch):
    opened = Path.open

    def open_for_writing(path: Path, mode: str = "r", **given: object) -> object:
        file = opened(path, mode, **given)
        return Full(file) if mode == "xb" else file

    Full.left = 5000  # a shard has 5 arrays of 4 x 16 numbers of 4 bytes, and a header
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", open_for_writing)
        fails(run(source, tmp_path), ".safetensors: the disk is full; free some space and run")
    assert len(shards_in(tmp_path)) == 3
    assert not list((tmp_path / "shards").rglob("*unfinished"))
    assert "resuming after 12 of 15 images" in run(source, tmp_path).output
    assert files(tmp_path) == files(done)


def test_a_disk_without_room_is_refused_before_the_work(source, tmp_path, monkeypatch):
    monkeypatch.setattr(
        of_shards.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6, 4000)
    )
    names = counted(monkeypatch)
    fails(run(source, tmp_path), "take 0.0 GB more, and the disk has 0.0; free some space")
    assert not names
    require_room(tmp_path, 4000)
    with pytest.raises(StudyError, match=r"the embeddings take 1\.2 GB more"):
        require_room(tmp_path, 1_200_000_000)


# Devices


def test_two_devices_give_the_bytes_of_one(source, done, tmp_path, monkeypatch):
    """Two processes, each with a 'device' of its own; neither computes all shards."""
    monkeypatch.setattr("stages.embed.choose_devices", lambda _: [CPU, CPU])
    monkeypatch.setattr(of_shards, "write_shard", None)  # none is written by this process
    result = run(source, tmp_path)
    assert result.exit_code == 0, result.output
    assert "loading" in result.output
    assert files(tmp_path) == files(done)


def test_two_devices_go_on_where_one_was_broken_off(source, done, tmp_path, monkeypatch):
    run_until(source, tmp_path, 1)
    monkeypatch.setattr("stages.embed.choose_devices", lambda _: [CPU, CPU])
    assert "resuming after 4 of 15 images" in run(source, tmp_path).output
    assert files(tmp_path) == files(done)


def test_what_fails_on_one_of_two_devices_is_said_in_one_line(source, tmp_path, monkeypatch):
    copy = shutil.copytree(source, tmp_path / "source")
    (copy / "images" / "images" / "dotted" / "dotted_0003.png").write_bytes(b"no image")
    monkeypatch.setattr("stages.embed.choose_devices", lambda _: [CPU, CPU])
    fails(run(copy, tmp_path / "out"), "dotted_0003.png: no image of a known format")


def test_each_shard_is_taken_once(tmp_path):
    taken = tmp_path / "taken"
    taken.write_bytes(bytes(8))
    one, other = (on_devices._next_of(taken, 5) for _ in range(2))
    assert [next(one), next(other), next(other), next(one), next(one)] == [0, 1, 2, 3, 4]
    assert not [*one, *other]


def task(source: Path, out: Path, place: int, weights: str | None = None) -> ShardTask:
    """The task of one shard of the images of a source."""
    out.mkdir(exist_ok=True)
    folder = source / "model"
    encoder = load_encoder(str(folder), None, folder, 0, CPU)
    given = EncoderSource(str(folder), None, folder, 0, "fp32", weights or weights_digest(encoder))
    noise = Noise("gaussian", "normalised", 0)
    sweep = Sweep(source / "images", noise, cells_of(SETTINGS["noise_levels"], 2), 4)
    ids = pd.read_csv(source / "images.csv")["id"].tolist()
    return ShardTask(given, "cpu", sweep, shards_of(out, ids, IMAGES)[place], workers=1)


def test_a_task_writes_its_shard_and_can_be_sent_to_another_process(source, done, tmp_path):
    last = task(source, tmp_path, 3)
    import pickle

    assert embed_shard(pickle.loads(pickle.dumps(last))) == 3
    (file,) = tmp_path.iterdir()
    rows, _ = read_shard(last.shard, 5, 16)
    assert file == last.shard.file
    for row, (level, draw) in zip(rows, last.sweep.cells, strict=True):
        array = np.load(done / "embeddings" / f"noise_{level:.2f}_draw_{draw}.npy")
        np.testing.assert_array_equal(row, array[12:])
    assert finished_shards([last.shard], last.sweep, 16) == {last.shard}


def test_a_process_that_has_other_weights_refuses(source, tmp_path):
    with pytest.raises(StudyError, match="other weights for the process of cpu than where the run"):
        embed_shard(task(source, tmp_path, 0, weights="0" * 128))


def test_all_gpus_are_taken_and_no_other_device_beside_them(monkeypatch):
    from stages.core.vision.hardware import choose_devices

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for count, names in ((0, ["cpu"]), (1, ["cuda:0"]), (3, ["cuda:0", "cuda:1", "cuda:2"])):
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        assert [str(device) for device in choose_devices("auto")] == names
    assert [str(device) for device in choose_devices("cuda:1")] == ["cuda:1"]
    with pytest.raises(StudyError, match=r"embed\.device: no 'cuda:3' here"):
        choose_devices("cuda:3")
