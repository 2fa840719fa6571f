"""Odd params.yaml files, odd values in them and on the command line: one line each."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from stages.angles import angles
from stages.claims import claims
from stages.core.geometry.spaces import SPACES
from stages.core.runtime.errors import StudyError, one_line, quoted
from stages.core.runtime.params import read_yaml
from stages.core.runtime.paths import home, user_path
from stages.fetch import fetch
from stages.headline import headline
from stages.preflight import preflight
from tests.refusals import refusal
from tests.study import ROOT

PARAMS = (ROOT / "params.yaml").read_text()


def refused(content: bytes | str, folder: Path) -> str:
    """What preflight says of a params file with this content, its name left out."""
    file = folder / "params.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    message = refusal(preflight, "--params", file, "--sources", folder, "--known", folder / "known")
    assert len(message) < 700
    assert list(folder.iterdir()) == [file]
    return message.removeprefix(f"{file}: ")


def changed(key: str, value: str) -> str:
    """params.yaml with other text for the value of `<section>.<key>`."""
    section, name = key.split(".")
    start = PARAMS.index(f"{section}:\n")
    found = re.compile(rf"^  {name}:.*\n(    .*\n)*", re.MULTILINE).search(PARAMS, start)
    return f"{PARAMS[: found.start()]}  {name}: {value}\n{PARAMS[found.end() :]}"


# The file


@pytest.mark.parametrize(
    ("content", "line"),
    [
        pytest.param(PARAMS.encode("utf-16"), "not UTF-8 text; save it as UTF-8", id="UTF-16"),
        pytest.param(PARAMS.encode("utf-32"), "not UTF-8 text; save it as UTF-8", id="UTF-32"),
        pytest.param("fetch: {source: é}".encode("latin-1"), "not UTF-8 text", id="Latin-1"),
        pytest.param(bytes(range(128)), "unacceptable character", id="binary"),
        pytest.param("", "holds no sections", id="empty"),
        pytest.param("# nothing\n", "holds no sections", id="comments alone"),
        pytest.param("- fetch\n- embed\n", "holds no sections", id="a list"),
        pytest.param("fetch", "holds no sections", id="a word"),
        pytest.param("fetch: 3\n", "no section 'fetch'", id="a section without settings"),
        pytest.param("fetch:\n\tseed: 0\n", "line 2: found character '\\t'", id="a tab"),
        pytest.param("fetch: [1, 2\n", "line 2: ", id="a list without end"),
        pytest.param("fetch: *other\n", "line 1: found undefined alias", id="an unknown alias"),
        pytest.param("fetch: !!python/object:os.system x\n", "line 1: could not", id="a tag"),
        pytest.param("a: 1\n---\nb: 2\n", "line 2: but found another", id="two documents"),
        pytest.param("[" * 3000 + "]" * 3000, "nested too deeply", id="3,000 nested lists"),
        pytest.param("{a: " * 3000 + "1" + "}" * 3000, "nested too deeply", id="nested mappings"),
        pytest.param("a: 0\n" * 2**18, "more than 1,048,576 bytes", id="a large file"),
        pytest.param(PARAMS + "fetch: {}\n", 'found duplicate key "fetch"', id="a section twice"),
        pytest.param(
            changed("fetch.seed", "0\n  split: 1"), 'found duplicate key "split"', id="a key twice"
        ),
        pytest.param(
            changed("fetch.seed", "{a: 1, a: 2}"), 'line 3: found duplicate key "a"', id="within"
        ),
        pytest.param(PARAMS + "fetsch: {}\n", "unknown section 'fetsch'", id="unknown section"),
        pytest.param(PARAMS + "7: {}\n", "unknown section 7", id="a number as a section"),
        pytest.param(PARAMS + "? [a]\n: {}\n", "unknown section ('a',)", id="a list as a section"),
    ],
)
def test_a_file_that_holds_no_settings(content: bytes | str, line: str, tmp_path: Path) -> None:
    assert line in refused(content, tmp_path)


def test_a_duplicate_key_is_named_with_its_line(tmp_path: Path) -> None:
    line = PARAMS.splitlines().index("  images_per_class: 120    # at most; null: all") + 2
    text = changed("fetch.images_per_class", "120\n  images_per_class: 6")
    expected = f'line {line}: found duplicate key "images_per_class" with value "6"'
    assert refused(text, tmp_path).startswith(expected)


def test_aliases_that_multiply_end_at_once(tmp_path: Path) -> None:
    lists, merged = ["a0: &a0 [x]"], ["a0: &a0 {x: 1}"]
    for i in range(1, 30):
        nine = ", ".join([f"*a{i - 1}"] * 9)
        lists.append(f"a{i}: &a{i} [{nine}]")
        merged.append(f"a{i}: &a{i} {{<<: [{nine}]}}")
    assert "unknown section 'a0'" in refused("\n".join(lists), tmp_path)
    bomb = changed("fetch.classes", f"{{{', '.join(lists)}}}")
    assert "fetch.classes: {'a0': ['x']" in refused(bomb, tmp_path)
    assert "line 2: merge keys (<<) are not read" in refused("\n".join(merged), tmp_path)


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "nothing", "loop"])
def test_a_params_file_that_is_no_file(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    if kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    elif kind == "loop":
        file.symlink_to(file)
    message = refusal(headline, "--params", file)
    assert message.startswith(f"{file}: ")
    assert ("not found" if kind in ("nothing", "loop") else "not a regular file") in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_params_file_that_may_not_be_read(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(PARAMS)
    file.chmod(0)
    assert refusal(headline, "--params", file) == f"{file}: Permission denied"


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_bytes(PARAMS.encode("utf-8-sig"))
    assert read_yaml(file) == yaml.safe_load(PARAMS)


def test_numbers_are_read_as_dvc_reads_them(tmp_path: Path) -> None:
    """YAML 1.2: PyYAML, of YAML 1.1, would take 1e-4 for a word and 'no' for a boolean."""
    file = tmp_path / "params.yaml"
    file.write_text("a: 1e-4\nb: no\nc: 010\n")
    assert read_yaml(file) == {"a": 1e-4, "b": "no", "c": 10}


# Values


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        # no value of YAML
        ("fetch.seed", "!!int abc", "'abc' is no int; correct it"),
        ("fetch.seed", "!!int ''", "'' is no int; correct it"),
        ("fetch.seed", "9" * 5000, "is no int; correct it"),
        ("pretrain.noise", "!!float x", "'x' is no float; correct it"),
        ("angles.centre", "!!bool maybe", "'maybe' is no bool; correct it"),
        ("fetch.source", "2024-13-45", "'2024-13-45' is no timestamp; correct it"),
        ("fetch.source", "2024-02-30 25:00:00", "is no timestamp; correct it"),
        ("fetch.source", "!!binary 'x'", "failed to decode base64"),
        # of another type
        ("fetch.source", "2024-01-02", "should be a valid string; put it in quotes"),
        ("fetch.classes", "[1, 2]", "fetch.classes.0: 1: input should be a valid string; put it"),
        ("fetch.classes", "[true, null]", "fetch.classes.0: True: input should be a valid string"),
        ("fetch.classes", "[1e5]", "fetch.classes.0: 100000.0: input should be a valid string"),
        ("fetch.classes", "banded", "fetch.classes: 'banded': input should be a valid list"),
        ("fetch.classes", "&a [*a]", "fetch.classes.0: "),
        ("fetch.seed", "true", "fetch.seed: True: input should be a valid integer"),
        ("fetch.seed", "0.5", "fetch.seed: 0.5: input should be a valid integer"),
        ("fetch.seed", "{1: 2}", "fetch.seed: {1: 2}: input should be a valid integer"),
        ("pretrain.noise", "true", "pretrain.noise: True: input should be a valid number"),
        ("pretrain.noise", "'0.5'", "pretrain.noise: '0.5': input should be a valid number"),
        ("claims.confidence", "true", "claims.confidence: True: input should be a valid number"),
        ("angles.centre", "1", "angles.centre: 1: input should be a valid boolean"),
        ("angles.space", "3", "angles.space: 3: input should be 'feature' or 'sample'"),
        # numbers beyond all use
        ("fetch.seed", "-1", "fetch.seed: -1: input should be greater than or equal to 0"),
        ("fetch.seed", "1" + "0" * 400, "fetch.seed: 1000000000"),
        ("pretrain.steps", "1" + "0" * 400, "pretrain.steps: 1000000000"),
        ("fetch.images_per_class", "10000000000", "input should be less than or equal to 10000000"),
        ("pretrain.noise", ".nan", "pretrain.noise: nan: input should be a finite number"),
        ("pretrain.learning_rate", ".inf", "input should be a finite number"),
        ("pretrain.weight_decay", "1e400", "input should be a finite number"),
        ("project.perplexity", "-.inf", "input should be a finite number"),
        ("pretrain.noise", "1" + "0" * 400, "pretrain.noise: 10000000000"),
        ("embed.noise_levels", "[0.0, 1e308]", "embed.noise_levels: 1e+308 is more than 1000"),
        ("embed.noise_levels", "[0.0, .nan]", "embed.noise_levels.1: nan: input should be a fin"),
        ("classify.probe_strengths", "[.inf]", "probe_strengths.0: inf: input should be a finite"),
        ("classify.calibration_bins", "1000000000", "input should be less than or equal to 1000"),
        # text beyond all use
        ("fetch.source", "''", "fetch.source: '': string should have at least 1 character"),
        ("fetch.classes", "['']", "fetch.classes.0: '': string should have at least 1 character"),
        ("embed.pretrained", "''", "embed.pretrained: '': string should have at least 1 charac"),
        ("fetch.source", "x" * 5000, "fetch.source: 'xxxx"),
        ("angles.space", "x" * 5000, "input should be 'feature' or 'sample'"),
        ("fetch.classes", f"[{'x' * 5000}]", "string should have at most 1000 characters"),
        ("fetch.classes", "x" * 5000, "input should be a valid list"),
        ("embed.templates", f"[{'x' * 900}]", "must hold {} once, where the class name goes"),
        ("x" * 1000, "0", "unknown key; known are source, seed"),
        ("fetch.source", '"a\\0b"', "holds control characters; remove them"),
        ("embed.templates", '["a\\nb {}"]', "holds control characters; remove them"),
        ("embed.model", '"\\ud800"', "input should be a valid string, unable to parse"),
        # pairs of classes
        ("claims.pairs", "dotted", "claims.pairs: 'dotted': input should be a valid list"),
        ("claims.pairs", "null", "claims.pairs: None: input should be a valid list"),
        ("claims.pairs", "[a, b]", "claims.pairs.0: 'a': a pair is a list of two classes; write"),
        ("claims.pairs", "[[a, b], [c]]", "claims.pairs.1: ['c']: a pair is a list of two classes"),
        ("claims.pairs", "[[a, b, c]]", "claims.pairs.0: ['a', 'b', 'c']: a pair is a list of two"),
        ("claims.pairs", "[{a: b}]", "claims.pairs.0: {'a': 'b'}: a pair is a list of two classes"),
        ("claims.pairs", "[[a, 1]]", "claims.pairs.0.1: 1: input should be a valid string; put it"),
        ("claims.pairs", "[[a, [b]]]", "claims.pairs.0.1: ['b']: input should be a valid string"),
        ("claims.pairs", "[[a, '']]", "claims.pairs.0.1: '': string should have at least 1 char"),
        ("claims.pairs", f"[[a, {'x' * 5000}]]", "string should have at most 1000 characters"),
        ("claims.pairs", '[[a, "b\\n"]]', "'b\\n' holds control characters; remove them"),
        ("claims.pairs", "[[a, a]]", "claims.pairs.0: ['a', 'a']: a class and itself; name two"),
        ("claims.pairs", '[[é, "e\\u0301"]]', "a class and itself; name two classes"),
        ("claims.pairs", "[[a, b], [a, b]]", "]: a and b are named twice; name each pair once"),
        ("claims.pairs", "[[a, b], [b, a]]", "]: a and b are named twice; name each pair once"),
        ("claims.neighbours", "[[b, a], [c, a], [a, b]]", "a and b are named twice; name each pai"),
        ("claims.neighbours", "[[a, a]]", "claims.neighbours.0: ['a', 'a']: a class and itself"),
        # keys
        ("fetch.seed", "0\n  7: 8", "fetch.7: 7: keys should be strings"),
        ("fetch.seed", "0\n  null: 8", "fetch.None: None: keys should be strings"),
        ("fetch.seed", "0\n  ? [a, b]\n  : 8", "keys should be strings"),
        ("fetch.seed", "0\n  sead: 8", "fetch.sead: unknown key; known are source, seed"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else None,
)
def test_a_value_that_is_none(key: str, value: str, line: str, tmp_path: Path) -> None:
    if key.startswith("x"):
        text = PARAMS.replace("  seed: 0\n", f"  seed: 0\n  {key}: {value}\n", 1)
    else:
        text = changed(key, value)
    assert line in refused(text, tmp_path)


@pytest.mark.parametrize(
    ("command", "arguments", "line"),
    [
        (fetch, ("--classes", ""), "the command line: fetch.classes.0: '': string should have"),
        (fetch, ("--source", "x" * 5000), "the command line: fetch.source: 'xxxx"),
        (fetch, ("--seed", "9" * 400), "the command line: fetch.seed: 9999"),
        (fetch, ("--source", "x" * 900), "no file has so long a name; correct it"),
        (fetch, ("--classes", "x" * 900), "fetch.classes: no class 'xxxx"),
        (angles, ("--explained-variance", "nan"), "angles.explained_variance: nan: input should"),
        (angles, ("--explained-variance", "1e400"), "explained_variance: inf: input should be a"),
        (angles, ("--rank", "0"), "the command line: angles.rank: 0: input should be greater"),
        (angles, ("--embeddings", "nowhere"), "nowhere/"),
        (
            claims,
            ("--pairs", "a", "a"),
            "the command line: claims.pairs.0: ('a', 'a'): a class and",
        ),
        (
            claims,
            ("--neighbours", "a", "b", "--neighbours", "b", "a"),
            "command line: claims.neighbours: [('a', 'b'), ('b', 'a')]: a and b are named twice",
        ),
        (headline, ("--params", "nowhere"), "nowhere: not found; run from the project's top"),
        (headline, ("--embed", "nowhere"), "nowhere: not found; run 'dvc repro embed'"),
    ],
)
def test_odd_options(
    command: object,
    arguments: tuple[str, ...],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS)
    monkeypatch.chdir(tmp_path)
    message = refusal(command, *arguments)
    assert line in message
    assert len(message) < 500


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        (fetch, ("--seed", "abc"), "'abc' is not a valid integer"),
        (angles, ("--space", "other"), "'other' is not one of 'feature', 'sample'"),
        (angles, ("--explained-variance", "high"), "'high' is not a valid float"),
        (fetch, ("--images", ""), "'' is no path"),
        (fetch, ("--images", "~nosuchuser/x"), "no home folder of '~nosuchuser' is known here"),
        (fetch, ("--nothing",), "No such option"),
    ],
)
def test_options_of_another_type_are_errors_of_use(
    command: object, arguments: tuple[str, ...], said: str
) -> None:
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith("Usage: ")
    assert said in done.stderr


def test_a_pair_of_one_class_is_an_error_of_use() -> None:
    done = CliRunner().invoke(claims, ("--pairs", "a"))
    assert done.exit_code == 2
    assert done.stderr == "Error: Option '--pairs' requires 2 arguments.\n"


def test_the_choices_of_an_option_are_the_names_of_its_registry() -> None:
    (option,) = (each for each in angles.params if each.name == "set_space")
    assert option.type.choices == tuple(SPACES)


# Home folders


@pytest.mark.parametrize(
    ("text", "user"), [("~nosuchuser/x", "~nosuchuser"), ("~nosuchuser", "~nosuchuser")]
)
def test_a_home_that_nobody_has(text: str, user: str) -> None:
    with pytest.raises(StudyError, match=f"^embed.model: '{text}': no home folder of '{user}' is"):
        user_path(text, "embed.model")


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a user id of its own."""
    monkeypatch.setenv("HOME", "/somewhere")
    assert user_path("~/x", "embed.model") == Path("/somewhere/x")
    assert home() == Path("/somewhere")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    assert home() is None
    with pytest.raises(StudyError, match="no home folder of '~' is known here; write the path out"):
        user_path("~/x", "embed.model")


@pytest.mark.parametrize(
    "library",
    [
        "import matplotlib; print(matplotlib.get_configdir(), matplotlib.get_cachedir())",
        "from numba.misc import appdirs; print(appdirs.user_cache_dir('numba'))",
        "from huggingface_hub.constants import HF_HOME; print(HF_HOME)",
        "import torch.hub; print(torch.hub._get_torch_home())",
    ],
    ids=["matplotlib", "numba", "huggingface_hub", "torch"],
)
def test_libraries_of_a_user_without_a_home_keep_their_caches_out_of_git(
    library: str, tmp_path: Path
) -> None:
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    known = {key: value for key, value in os.environ.items() if not re.match("HOME|XDG_", key)}
    for key in ("MPLCONFIGDIR", "HF_HOME", "TORCH_HOME"):
        known.pop(key, None)
    code = f"import os; os.getuid = lambda: 2**31 - 7; import stages; {library}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=known | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    for folder in done.stdout.split():
        assert Path(folder).is_relative_to(tmp_path / ".dvc" / "tmp" / "home")


@pytest.mark.parametrize(
    "key", ["fetch.source", "embed.model", "embed.pretrained", "pretrain.init"]
)
def test_every_path_in_params_may_begin_with_a_home(key: str, tmp_path: Path) -> None:
    message = refused(changed(key, "~nosuchuser/x.pt"), tmp_path)
    assert message == (
        f"{key}: '~nosuchuser/x.pt': no home folder of '~nosuchuser' is known here; write the "
        "path out"
    )


# Quoting


@pytest.mark.parametrize(
    "value", ["x" * 5000, 10**400, ["x" * 5000] * 100, {"a": {"b": {"c": {"d": {"e": 1}}}}}]
)
def test_what_a_message_quotes_is_short(value: object) -> None:
    assert len(quoted(value)) < 700


def test_short_values_are_quoted_whole() -> None:
    assert quoted("it's") == repr("it's")
    assert quoted([1, 2.5, None]) == "[1, 2.5, None]"
    path = "/home/someone" + "/a long name" * 18
    assert quoted(path) == repr(path)


def test_a_message_is_one_line_of_printable_characters() -> None:
    assert one_line("a\nb\t\x1b[31mc\u200f é") == "a b \\x1b[31mc\\u200f é"
    long = one_line("where: " + "x" * 10_000 + "; fix it", 100)
    assert len(long) <= 100
    assert long.startswith("where: xxx")
    assert long.endswith("xxx; fix it")
