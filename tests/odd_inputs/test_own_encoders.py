"""Odd encoders of a user's own: each is refused in one line, and nothing is written."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from stages.core.runtime.command import INTERRUPTED
from stages.embed import embed
from tests.own_encoders import ENCODER, write_encoder
from tests.refusals import refusal
from tests.test_embed import options, write_source


@pytest.fixture(autouse=True)
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source"))


def refused(source: Path, out: Path, **changes: object) -> str:
    """The line by which embed refuses the settings; nothing may be left behind."""
    message = refusal(embed, *options(source, out, **changes))
    assert [file.name for file in out.iterdir()] == ["params.yaml"]
    return message


def refused_encoder(source: Path, folder: Path, text: str, function: str = "load") -> str:
    """The line by which the encoder in `text` is refused, without where it lies."""
    file = write_encoder(folder / "own", text)
    said = refused(source, folder / "out", model=f"{file}:{function}")
    where = f"embed.model: {file}:{function}: "
    assert where in said
    return said.replace(where, "")


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


# The file and the function


def test_a_file_that_is_not_there_is_refused(source, tmp_path):
    said = refused(source, tmp_path / "out", model=f"{tmp_path}/none.py:load")
    assert said == f"embed.model: {tmp_path}/none.py:load: no such file; correct the path"


def test_a_folder_is_no_file(source, tmp_path):
    (tmp_path / "folder.py").mkdir()
    assert "no such file" in refused(source, tmp_path / "out", model=f"{tmp_path}/folder.py:load")


def test_a_function_must_be_named(source, tmp_path):
    file = write_encoder(tmp_path / "own")
    said = refused(source, tmp_path / "out", model=str(file))
    assert said.endswith(
        f"name the function that loads the encoder after a colon, as in {file}:load"
    )


@pytest.mark.parametrize(
    ("text", "function", "fix"),
    [
        (ENCODER, "lod", "the nearest are load, load_reading"),
        ("", "load", "define it: def load(device, precision)"),
        ("load = 3", "load", "define it: def load(device, precision)"),
        ("from json import load as other", "load", "define it: def load(device, precision)"),
    ],
)
def test_a_function_that_is_not_there_is_refused(source, tmp_path, text, function, fix):
    said = refused_encoder(source, tmp_path, text, function)
    assert said.startswith(f"encoder.py has no function {function}; {fix}")


def test_weights_beside_an_encoder_of_one_s_own_are_refused(source, tmp_path):
    model = f"{write_encoder(tmp_path / 'own')}:load"
    said = refused(source, tmp_path / "out", model=model, pretrained="openai")
    assert said == (
        f"embed.pretrained: 'openai' does not go with {model}, which loads its own weights; "
        "set it to null"
    )


# What it raises


RAISING = """
import other_module_of_mine

def load(device, precision):
    return other_module_of_mine.build({given})
"""
HELPER = """
import json

def build(given):
    return json.loads(given)
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def load(device, precision):\n    x = 1\n    raise ValueError('no weights\\nfor you')",
         "load(device, 'fp32') raised ValueError: no weights for you (encoder.py, line 3)"),
        ("def load(device, precision):\n    open('/nowhere/weights.pt')",
         "load(device, 'fp32') raised FileNotFoundError: [Errno 2] No such file or directory: "
         "'/nowhere/weights.pt' (encoder.py, line 2)"),
        ("def load(device, precision):\n    raise RuntimeError",
         "load(device, 'fp32') raised RuntimeError (encoder.py, line 2)"),
        ("def load(device, precision):\n    raise SystemExit(3)",
         "load(device, 'fp32') raised SystemExit: 3 (encoder.py, line 2)"),
        ("from torch import nn\ndef load(device, kind):\n    nn.Linear(2, 3).load_state_dict({})",
         "load(device, 'fp32') raised RuntimeError: Error(s) in loading state_dict for Linear: "
         'Missing key(s) in state_dict: "weight", "bias". (encoder.py, line 3)'),
        ("def load(device):\n    pass",
         "load(device, 'fp32') raised TypeError: load() takes 1 positional argument but 2 were "
         "given"),
        ("x = 1 / 0", "encoder.py raised ZeroDivisionError: division by zero (encoder.py, line 1)"),
        ("def load(:\n", "encoder.py raised SyntaxError: invalid syntax (encoder.py, line 1)"),
        ("import sys\nsys.exit('stop')", "encoder.py raised SystemExit: stop (encoder.py, line 2)"),
    ],
)  # fmt: skip
def test_what_the_file_or_its_function_raises_is_said_with_its_line(source, tmp_path, text, said):
    assert refused_encoder(source, tmp_path, text) == said


def test_the_line_is_that_of_the_user_s_own_module(source, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "other_module_of_mine.py").write_text(HELPER)
    said = refused_encoder(source, tmp_path, RAISING.format(given="'{'"))
    assert said.startswith("load(device, 'fp32') raised JSONDecodeError: Expecting property name")
    assert said.endswith(f"(other_module_of_mine.py, line {line_of(HELPER, 'return json')})")


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("import a_package_of_nobody", "encoder.py", 1),
        ("\nfrom a_package_of_nobody.models import net", "encoder.py", 2),
        (
            "def load(device, precision):\n    import a_package_of_nobody.net",
            "load(device, 'fp32')",
            2,
        ),
    ],
)
def test_a_missing_package_is_named_with_how_to_install_it(source, tmp_path, text, what, line):
    assert refused_encoder(source, tmp_path, text) == (
        f"{what} imports a_package_of_nobody (encoder.py, line {line}), which is not installed; "
        "pip install a_package_of_nobody, or put a_package_of_nobody.py beside it"
    )


@pytest.mark.parametrize("module", ["torch.no_such_module", "json.nothing"])
def test_a_module_that_its_package_lacks_is_no_missing_package(source, tmp_path, module):
    said = refused_encoder(source, tmp_path, f"import {module}")
    assert said.startswith("encoder.py raised ModuleNotFoundError: No module named ")
    assert "pip install" not in said


def test_ctrl_c_in_the_user_s_code_ends_the_stage_as_anywhere(source, tmp_path):
    file = write_encoder(
        tmp_path / "own", "def load(device, precision):\n    raise KeyboardInterrupt"
    )
    given = options(source, tmp_path / "out", model=f"{file}:load")
    result = CliRunner().invoke(embed, given)
    assert result.exit_code == INTERRUPTED
    assert result.stderr.startswith("Interrupted; nothing half-made is left")


def test_memory_that_runs_out_in_the_user_s_code_is_said_as_anywhere(source, tmp_path):
    said = "def load(device, precision):\n    raise MemoryError('4 TiB')"
    model = f"{write_encoder(tmp_path / 'own', said)}:load"
    assert refused(source, tmp_path / "out", model=model) == (
        "embed: memory ran out (4 TiB); free some, or take fewer images"
    )


def test_an_accelerator_s_memory_that_runs_out_is_said_as_anywhere(source, tmp_path):
    text = returning("encode_images", "right if STATE.append(1) or len(STATE) < 4 else full()")
    text += "\nSTATE = []\ndef full():\n    raise torch.OutOfMemoryError\n"
    model = f"{write_encoder(tmp_path / 'own', text)}:load_reading"
    said = refused(source, tmp_path / "out", model=model)
    assert said == "embed.batch_size: 4 images do not fit into the memory of cpu; lower it"


# What it returns


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "def load(device, precision): pass",
            "load returned None, which lacks prepare; docs/encoders.md",
        ),
        (
            "del Squares.prepare",
            "load returned a Squares, which lacks prepare; docs/",
        ),
        ("del Squares.encode_images", "load returned a Squares, which lacks encode_images; docs/e"),
        ("Squares.encode_images = 3", "load returned a Squares, whose encode_images is no method"),
        (
            "Reading.encode_texts = 'no'",
            "load_reading returned a Reading, whose encode_texts is no m",
        ),
        ("del Squares.mean", "mean is missing; give three numbers in [0, 1], one for each channel"),
        ("Squares.mean = (0.5, 0.5)", "mean is (0.5, 0.5); give three numbers in [0, 1]"),
        ("Squares.mean = 0.5", "mean is 0.5; give three numbers"),
        ("Squares.mean = [123.7, 116.3, 103.5]", "mean is [123.7, 116.3, 103.5]; give three numb"),
        ("Squares.mean = 'abc'", "mean is 'abc'; give three numbers"),
        ("Squares.mean = (0.5, float('nan'), 0.5)", "mean is (0.5, nan, 0.5); give three numbers"),
        ("Squares.mean = torch.full((3, 1, 1), 0.5)", "mean is tensor("),
        ("del Squares.std", "std is missing; give three numbers above 0 and at most 1, one fo"),
        ("Squares.std = (0.2, 0.0, 0.2)", "std is (0.2, 0.0, 0.2); give three numbers above 0"),
        ("Squares.std = (58.4, 57.1, 57.4)", "std is (58.4, 57.1, 57.4); give three numbers above"),
        ("Reading.logit_scale = -1", "logit_scale is -1; give the positive factor, or None"),
        ("Reading.logit_scale = 'x'", "logit_scale is 'x'; give one finite number, or None"),
        ("Reading.logit_scale = float('inf')", "logit_scale is inf; give one finite number"),
        ("Reading.logit_scale = torch.ones(2)", "logit_scale is tensor("),
        ("Reading.logit_bias = float('nan')", "logit_bias is nan; give one finite number"),
        ("Reading.trained = 'yes'", "trained is 'yes'; say True or False"),
        (
            "Reading.mean = property(lambda self: 1 / 0)",
            "what load_reading returned raised ZeroDivisionError: division by zero (encoder.py, li",
        ),
    ],
)
def test_what_is_no_encoder_is_refused(source, tmp_path, change, said):
    text = f"{ENCODER}\n{change}\n"
    function = "load_reading" if "Reading" in change else "load"
    assert refused_encoder(source, tmp_path, text, function).startswith(said)


def returning(method: str, expression: str) -> str:
    """The encoder with a method that returns something else; `given` is its argument."""
    return (
        f"{ENCODER}\n_before = Reading.{method}\n"
        f"def changed(self, given):\n    right = _before(self, given)\n    return {expression}\n"
        f"Reading.{method} = changed\n"
    )


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("None", "prepare returned None; return an array or a tensor of shape (3, H, W)"),
        ("right.tolist()", "prepare returned a list; return an array or a tensor of shape"),
        ("torch.tensor(right).bfloat16()", "prepare returned a tensor of bfloat16; return an"),
        ("right[0]", "prepare returned shape (24, 24); return (3, H, W)"),
        ("right[None]", "prepare returned shape (1, 3, 24, 24); return (3, H, W)"),
        ("right[:1]", "prepare returned shape (1, 24, 24); return (3, H, W)"),
        ("right[:, :0]", "prepare returned shape (3, 0, 24); return (3, H, W)"),
        (
            "right.transpose(1, 2, 0)",
            "prepare returned shape (24, 24, 3); put the channels first",
        ),
        (
            "(right * 255).astype(np.uint8)",
            "prepare returned uint8 pixels; return float32 in [0, 1], divide by 255",
        ),
        ("right.astype(np.float64)", "prepare returned float64 pixels; return float32 in [0, 1], "),
        ("torch.tensor(right).double()", "prepare returned float64 pixels; return float32 in"),
        ("right * 0 - 0.5", "prepare returned values from -0.5 to -0.5; clip them to [0, 1]"),
        ("right * 0 + 255", "prepare returned values from 255 to 255; clip them to [0, 1], and"),
        ("right * np.float32('nan')", "prepare returned values from nan to nan; clip them"),
    ],
)
def test_what_is_no_prepared_image_is_refused_and_the_image_named(
    source, tmp_path, expression, said
):
    text = returning("prepare", expression)
    found = refused_encoder(source, tmp_path, text, "load_reading")
    assert found.startswith(f"dotted/dotted_0000.png: {said}")


def test_images_of_different_sizes_are_refused_and_one_named(source, tmp_path):
    text = ENCODER.replace("image.resize((24, 24))", "image")
    assert refused_encoder(source, tmp_path, text) == (
        "dotted/dotted_0001.png: prepare returned shape (3, 36, 41), of another image (3, 36, 40); "
        "resize or crop all images to one size"
    )


def test_an_image_of_another_size_is_refused_also_where_it_comes_late(source, tmp_path):
    text = ENCODER.replace("resize((24, 24))", "resize((24, 24 + 8 * (image.width == 43)))")
    text = text.replace("flatten(1)", "mean(dim=(2, 3)).repeat(1, 9)")
    said = refused_encoder(source, tmp_path, text)
    assert "_0003.png: prepare returned shape (3, 32, 24), of another image (3, 24, 24)" in said


@pytest.mark.parametrize(
    ("method", "of", "count"), [("encode_images", "images", 16), ("encode_texts", "texts", 64)]
)
@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("None", "returned None; return a tensor or array of floats"),
        ("list(right)", "returned a list; return a tensor or array of floats"),
        ("torch.as_tensor(right).int()", "returned a tensor of int32; return a tensor or array of"),
        ("torch.as_tensor(right).to_sparse()", "returned a sparse tensor of float"),
        ("np.asarray(right).astype(int)", "returned an array of int64; return a tensor or array"),
        ("np.asarray(right) * 1j", "returned an array of complex"),
        ("np.asarray(right).astype(object)", "returned an array of object; return a tensor or"),
        ("right[:-1]", "returned shape ({fewer}, 5) for {count} {of}; return ({count}, d), a row"),
        ("right[0]", "returned shape (5,) for {count} {of}; return ({count}, d), a row of d"),
        ("right[:, :, None]", "returned shape ({count}, 5, 1) for {count} {of}; return"),
        ("right[:, :0]", "returned shape ({count}, 0) for {count} {of}; return"),
        ("right.T", "returned shape (5, {count}) for {count} {of}; return"),
        ("1 / 0", "raised ZeroDivisionError: division by zero (encoder.py, line "),
    ],
)
def test_what_are_no_rows_is_refused(source, tmp_path, method, of, count, expression, said):
    text = returning(method, expression)
    found = refused_encoder(source, tmp_path, text, "load_reading")
    assert found.startswith(f"{method} {said.format(fewer=count - 1, count=count, of=of)}")


def test_texts_of_another_dimension_than_images_are_refused(source, tmp_path):
    text = returning("encode_texts", "right[:, :4]")
    assert refused_encoder(source, tmp_path, text, "load_reading") == (
        "encode_images returned rows of 5 numbers, after rows of 4 by encode_texts; return rows of "
        "one length, of images, texts and every precision"
    )


def test_rows_whose_length_changes_are_refused(source, tmp_path):
    text = returning("encode_images", "right[:, : 5 - (STATE.append(1) or len(STATE) > 3)]")
    said = refused_encoder(source, tmp_path, text + "\nSTATE = []\n", "load_reading")
    assert said.startswith("encode_images returned rows of 4 numbers, after rows of 5 by ")


def test_a_precision_with_rows_of_another_length_is_refused(source, tmp_path):
    text = returning("encode_images", "right[:, :4] if right.dtype == torch.bfloat16 else right")
    model = f"{write_encoder(tmp_path / 'own', text)}:load"
    text = text.replace("return Squares(DTYPES", "return Reading(DTYPES")
    write_encoder(tmp_path / "own", text)
    said = refused(source, tmp_path / "out", model=model, precision="bf16")
    assert "encode_images returned rows of 4 numbers, after rows of 5 by encode_images" in said


def test_a_precision_with_another_mean_is_refused(source, tmp_path):
    text = ENCODER.replace(
        "return Squares(DTYPES[precision])",
        "Squares.mean = [0.5, 0.4, 0.3 if precision == 'fp32' else 0.2]\n"
        "    return Squares(DTYPES[precision])",
    )
    model = f"{write_encoder(tmp_path / 'own', text)}:load"
    said = refused(source, tmp_path / "out", model=model, precision="bf16")
    assert "mean is [0.5, 0.4" in said
    assert said.endswith("in fp32; make them the same")


def test_a_precision_that_the_function_refuses_is_said(source, tmp_path):
    text = ENCODER.replace('"bf16": torch.bfloat16, ', "")
    model = f"{write_encoder(tmp_path / 'own', text)}:load"
    said = refused(source, tmp_path / "out", model=model, precision="bf16")
    assert f"load(device, 'bf16') raised KeyError: 'bf16' (encoder.py, line {line_of(text, 'return Squares(')})" in said  # fmt: skip  # noqa: E501


@pytest.mark.parametrize(
    "expression", ["right * torch.nan", "right / 0", "right * 0", "1e39 * right.double()"]
)
def test_an_embedding_that_is_not_finite_names_the_image(source, tmp_path, expression):
    text = returning("encode_images", expression)
    model = f"{write_encoder(tmp_path / 'own', text)}:load_reading"
    said = refused(source, tmp_path / "out", model=model)
    assert "_000" in said
    assert "its embedding at noise 0.00 is not finite or zero in fp32; " in said


def test_a_text_that_is_not_finite_names_the_class(source, tmp_path):
    text = returning("encode_texts", "right * np.nan")
    model = f"{write_encoder(tmp_path / 'own', text)}:load_reading"
    said = refused(source, tmp_path / "out", model=model)
    assert said.startswith(
        "embed.templates: the prompts of dotted have no finite embedding in fp32"
    )
