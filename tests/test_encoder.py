"""open_clip models: what is encoded equals a direct call, and what does not fit is refused."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from stages.core.runtime.errors import StudyError
from stages.core.vision import hardware, open_clip_loading, pretrained
from stages.core.vision.encoder import class_prompts, encode_classes, unit_rows
from stages.core.vision.hardware import choose_device, choose_precision, fix_of_precision
from stages.core.vision.loading import load_encoder
from stages.core.vision.open_clip_encoder import OpenClipEncoder
from stages.core.vision.packing import PackedBlock, can_pack, pack

CPU = torch.device("cpu")
TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
TEMPLATES = ["a photo of a {} texture.", "a {} pattern"]


def write_model(folder: Path, seed: int = 0, **changes: object) -> Path:
    """Write a tiny model with random weights in open_clip's layout; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    preprocess = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3], "interpolation": "bilinear"}
    config = {"model_cfg": TINY | changes, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(seed)
    settings = dict(config["model_cfg"])
    kind = open_clip.CustomTextCLIP if settings.pop("custom_text", False) else open_clip.CLIP
    model = kind(**settings)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def picture(seed: int, width: int = 50, height: int = 40) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def tiny(folder) -> OpenClipEncoder:
    return load_encoder(str(folder), None, Path("unused"), 0, CPU)


@pytest.fixture(scope="module", autouse=True)
def architectures(tmp_path_factory):
    """Two architectures that open_clip does not have, with and without QuickGELU."""
    configs = tmp_path_factory.mktemp("configs")
    (configs / "tiny-clip.json").write_text(json.dumps(TINY))
    quick = json.dumps(TINY | {"quick_gelu": True})
    (configs / "tiny-clip-quickgelu.json").write_text(quick)
    open_clip.add_model_config(configs)


def load(pretrained: str | Path | None, model: str = "tiny-clip", seed: int = 0) -> OpenClipEncoder:
    given = None if pretrained is None else str(pretrained)
    return load_encoder(model, given, Path("unused"), seed, CPU)


# What is encoded


def test_images_are_prepared_and_encoded_as_open_clip_does_it(folder, tiny):
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    images = [picture(0), picture(1, 31, 70), picture(2, 32, 32)]
    inputs = torch.stack([transform(image) for image in images])
    pixels = np.stack([tiny.prepare(image) for image in images])
    torch.testing.assert_close(tiny.normalise(pixels), inputs, atol=1e-6, rtol=1e-6)
    with torch.inference_mode():
        wanted = model.eval().encode_image(inputs, normalize=True).numpy()
    found = tiny.encode_images(pixels)
    assert found.dtype == np.float32
    assert found.shape == (3, 16)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("size", [1, 3, 5, 16, 20])
def test_an_image_s_embedding_does_not_depend_on_the_number_of_images(tiny, size):
    pixels = np.stack([tiny.prepare(picture(i)) for i in range(20)])
    together = tiny.encode_images(pixels)
    pieces = [tiny.encode_images(pixels[i : i + size]) for i in range(0, 20, size)]
    np.testing.assert_array_equal(pieces[0], together[:size])
    np.testing.assert_allclose(np.concatenate(pieces), together, atol=1e-6)


@pytest.mark.parametrize("count", [1, 5, 64, 70])
def test_a_prompt_s_embedding_does_not_depend_on_the_number_of_prompts_or_threads(tiny, count):
    prompts = [f"a texture of kind {i}" for i in range(100)]
    together, before = tiny.encode_texts(prompts), torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        np.testing.assert_array_equal(tiny.encode_texts(prompts[:count]), together[:count])
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_class_embeddings_are_the_normalised_mean_of_unit_prompt_embeddings(folder, tiny):
    model, tokenise = tiny.model, open_clip.get_tokenizer(f"local-dir:{folder}")
    wanted = []
    for name in ("polka-dotted", "woven cloth"):
        prompts = [f"a photo of a {name} texture.", f"a {name} pattern"]
        with torch.inference_mode():
            units = functional.normalize(model.encode_text(tokenise(prompts)), dim=-1)
        mean = units.mean(dim=0)
        wanted.append((mean / mean.norm()).numpy())
    found = encode_classes(tiny, ["polka-dotted", "woven_cloth"], TEMPLATES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_underscores_of_a_class_become_spaces():
    assert class_prompts("a_b-c", ["the {}.", "{}"]) == ["the a b-c.", "a b-c"]


def test_the_context_length_of_the_model_is_kept_and_a_longer_prompt_refused(tiny):
    assert tiny.tokenise(["a texture"]).shape == (1, 16)
    fits = " ".join(["a"] * 14)  # and two tokens that mark start and end
    assert (tiny.tokenise([fits]) != 0).all()
    with pytest.raises(StudyError, match=r"embed.templates: 'a a .* longer than the 16 tokens"):
        tiny.tokenise(["short", fits + " a"])


def test_rows_without_a_direction_become_nan():
    rows = np.array([[3, 4], [0, 0], [np.inf, 1], [np.nan, 1]], dtype=np.float32)
    found = unit_rows(rows)
    np.testing.assert_allclose(found[0], [0.6, 0.8])
    assert np.isnan(found[1:]).all(axis=1).all()


def test_prompts_without_a_finite_embedding_name_the_class(tiny):
    broken = replace(tiny, precision="fp16", model=nn.Module())
    broken.model.encode_text = lambda tokens: torch.full((len(tokens), 4), torch.nan)
    with pytest.raises(StudyError, match=r"prompts of dotted .* fp16; set embed.precision: bf16"):
        encode_classes(broken, ["dotted"], TEMPLATES)


def test_logit_scale_is_the_factor_itself(tiny):
    assert tiny.logit_scale == pytest.approx(1 / 0.07)
    assert (tiny.logit_bias, tiny.probabilities) == (None, "softmax")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_model_with_a_logit_bias_was_trained_with_sigmoids(tmp_path, precision):
    folder = write_model(tmp_path, init_logit_bias=-10.03, init_logit_scale=2.3, custom_text=True)
    encoder = load(None, str(folder)).with_precision(precision)
    assert encoder.logit_bias == pytest.approx(-10.03)  # in bfloat16 it would be -10.0625
    assert encoder.logit_scale == pytest.approx(np.exp(2.3))
    assert encoder.probabilities == "sigmoid"


def test_open_clip_s_models_with_a_bias_are_those_of_the_sigmoid_loss():
    biased = [
        name
        for name in open_clip.list_models()
        if open_clip.get_model_config(name).get("init_logit_bias") is not None
    ]
    assert len(biased) == 28
    assert all("siglip" in name.lower() for name in biased)


# Precision and device


def tower_of(vision: dict, **changes: object) -> nn.Module:
    torch.manual_seed(0)
    config = TINY | {"vision_cfg": TINY["vision_cfg"] | vision} | changes
    return open_clip.CLIP(**config).visual.eval()


@pytest.mark.parametrize("quick_gelu", [False, True])
@pytest.mark.parametrize(
    "vision", [{}, {"pool_type": "avg"}, {"ls_init_value": 0.5}, {"attentional_pool": True}]
)
@pytest.mark.skipif(not can_pack(), reason="torch without oneDNN")
def test_packed_modules_give_what_open_clip_gives(vision, quick_gelu):
    tower = tower_of(vision, quick_gelu=quick_gelu)
    inputs = torch.randn(3, 3, 32, 32)
    with torch.inference_mode():
        wanted = tower(inputs)
        pack(tower)
        torch.testing.assert_close(tower(inputs), wanted, atol=1e-5, rtol=1e-5)
    kinds = {type(each) for each in tower.modules()}
    assert (PackedBlock in kinds) == ("ls_init_value" not in vision)


@pytest.mark.skipif(not can_pack(), reason="torch without oneDNN")
def test_an_activation_that_is_not_known_is_left_as_it_is():
    tower = tower_of({"act_kwargs": {"approximate": "tanh"}})
    pack(tower)
    assert PackedBlock not in {type(each) for each in tower.modules()}


@pytest.mark.skipif(not can_pack(), reason="torch without oneDNN")
def test_only_a_tower_that_reads_the_class_token_computes_it_alone():
    for pool, alone in (("tok", True), ("avg", False)):
        tower = tower_of({"pool_type": pool})
        pack(tower)
        found = [block.class_token_alone for block in tower.transformer.resblocks]
        assert found == [False, alone]


def test_a_tower_of_another_kind_is_left_as_it_is():
    tower = tower_of({"layers": [1, 1, 1, 1], "width": 16, "head_width": 64})
    before = [type(each) for each in tower.modules()]
    pack(tower)
    assert [type(each) for each in tower.modules()] == before


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_lower_precision_stays_near_fp32_and_gives_float32_unit_rows(folder, precision):
    exact = load_encoder(str(folder), None, Path("unused"), 0, CPU)
    pixels = np.stack([exact.prepare(picture(i)) for i in range(4)])
    wanted = exact.encode_images(pixels)
    found = exact.with_precision(precision)
    rows = found.encode_images(pixels)
    assert found.precision == precision
    assert found.logit_scale == pytest.approx(1 / 0.07)
    assert next(found.model.visual.ln_post.parameters()).dtype == hardware.DTYPES[precision]
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(rows, wanted, atol=0.03)
    assert not np.array_equal(rows, wanted)


@pytest.mark.parametrize(
    ("instructions", "packs", "chosen"),
    [(True, True, "bf16"), (False, True, "fp32"), (True, False, "fp32"), (None, True, "fp32")],
)
def test_precision_auto_is_bf16_where_a_cpu_computes_in_it(
    monkeypatch, instructions, packs, chosen
):
    known = {} if instructions is None else {"avx512_bf16": instructions}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    monkeypatch.setattr(hardware, "can_pack", lambda: packs)
    assert choose_precision("auto", CPU) == chosen
    assert choose_precision("auto", torch.device("mps")) == "fp32"
    assert choose_precision("fp16", CPU) == "fp16"


def test_the_fix_of_a_precision_names_a_wider_one():
    assert fix_of_precision("fp16") == "set embed.precision: bf16 or fp32"
    assert fix_of_precision("bf16") == "set embed.precision: fp32"
    assert "damaged" in fix_of_precision("fp32")


def test_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == CPU
    for name in ("cuda", "cuda:1", "gpu"):
        with pytest.raises(StudyError, match=f"embed.device: no '{name}' here; set auto or .*cpu"):
            choose_device(name)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto") == torch.device("cuda")
    assert choose_device("cuda:1") == torch.device("cuda:1")


# Untrained models and checkpoints


def test_an_untrained_model_is_drawn_from_the_seed_alone():
    pixels = np.random.default_rng(0).random((2, 3, 32, 32), dtype=np.float32)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = load(None), load(None), load(None, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not first.trained
    np.testing.assert_array_equal(first.encode_images(pixels), again.encode_images(pixels))
    assert not np.allclose(first.encode_images(pixels), other.encode_images(pixels))


@pytest.mark.parametrize("form", ["plain.pt", "wrapped.bin", "plain.safetensors"])
def test_a_checkpoint_file_is_loaded(tmp_path, folder, tiny, form):
    weights, file = tiny.model.state_dict(), tmp_path / form
    if form == "plain.safetensors":
        save_file(weights, file)
    elif form == "plain.pt":
        torch.save(weights, file)
    else:  # as open_clip's training writes it
        torch.save({"epoch": 1, "state_dict": {f"module.{k}": v for k, v in weights.items()}}, file)
    found = load(file)
    assert found.trained
    assert found.pretrained == str(file)
    torch.testing.assert_close(found.model.state_dict(), weights)


def test_a_model_folder_says_what_it_is(folder, tiny):
    assert (tiny.trained, tiny.quick_gelu, tiny.name) == (True, False, str(folder))
    np.testing.assert_allclose(tiny.mean, [0.5, 0.4, 0.3])
    shipped = load_encoder("texture-clip", None, folder, 0, CPU)
    torch.testing.assert_close(shipped.model.state_dict(), tiny.model.state_dict())


def broken(tmp_path: Path, weights: dict, name: str = "model.pt") -> Path:
    torch.save(weights, tmp_path / name)
    return tmp_path / name


def test_a_checkpoint_that_does_not_fit_names_the_first_keys(tmp_path, tiny):
    weights = tiny.model.state_dict()
    fewer = {key: value for key, value in weights.items() if key != "visual.proj"}
    with pytest.raises(
        StudyError, match=r"does not fit tiny-clip: 1 weights are missing such as vis"
    ):
        load(broken(tmp_path, fewer))
    with pytest.raises(StudyError, match=r"does not fit tiny-clip: 1 are unknown such as extra"):
        load(broken(tmp_path, weights | {"extra": torch.zeros(1)}))
    other = weights | {"visual.proj": torch.zeros(32, 8)}
    with pytest.raises(StudyError, match=r"visual.proj has shape \[32, 8\] instead of \[32, 16\]"):
        load(broken(tmp_path, other))


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (Path.touch, (Path(self.target),))


@pytest.mark.parametrize("write", [torch.save, lambda x, f: f.write_bytes(pickle.dumps(x))])
def test_pickled_code_is_refused_and_does_not_run(tmp_path, write):
    bomb = Bomb()
    bomb.target = str(tmp_path / "ran")
    write({"state_dict": bomb}, tmp_path / "model.pt")
    with pytest.raises(StudyError, match=r"model.pt holds pickled code, which is not loaded"):
        load(tmp_path / "model.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.filterwarnings("ignore:.*TorchScript")
def test_a_torchscript_archive_is_refused(tmp_path):
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "model.pt")
    with pytest.raises(StudyError, match=r"model.pt is a TorchScript archive, which holds code"):
        load(tmp_path / "model.pt")


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all"])
def test_a_damaged_checkpoint_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StudyError, match=f"{name} (cannot be read|holds pickled)"):
        load(tmp_path / name)


def test_a_file_of_another_kind_or_none_is_refused(tmp_path):
    (tmp_path / "model.txt").write_text("x")
    with pytest.raises(StudyError, match=r"model.txt is not a checkpoint; .*\.safetensors"):
        load(tmp_path / "model.txt")
    with pytest.raises(StudyError, match=r"nothing.pt: no such file"):
        load(tmp_path / "nothing.pt")


def test_an_unknown_model_or_tag_names_the_nearest():
    with pytest.raises(StudyError, match=r"embed.model: 'ViT-B32' .* nearest are .*ViT-B-32"):
        load(None, "ViT-B32")
    with pytest.raises(StudyError, match=r"embed.model: 'some/folder' .* no folder"):
        load(None, "some/folder")
    with pytest.raises(StudyError, match=r"'laion2b' is no tag of ViT-B-32; .*laion2b_s34b_b79k"):
        load("laion2b", "ViT-B-32")
    with pytest.raises(StudyError, match=r"no tag of tiny-clip; open_clip has no tags for it"):
        load("laion2b")


def test_openai_s_spelling_of_a_model_is_understood():
    with pytest.raises(StudyError, match="no tag of ViT-B-32;"):
        load("nothing", "ViT-B/32")


def test_a_text_tower_of_transformers_is_refused_without_it(monkeypatch):
    monkeypatch.setattr(open_clip_loading.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StudyError, match=r"roberta-ViT-B-32 reads text with .* transformers"):
        load(None, "roberta-ViT-B-32")


# QuickGELU


@pytest.mark.parametrize(
    ("model", "tag", "fix"),
    [
        ("ViT-B-32", "openai", "trained with QuickGELU, .* set embed.model: ViT-B-32-quickgelu"),
        ("ViT-B-32-quickgelu", "laion2b_s34b_b79k", "trained with GELU, .* embed.model: ViT-B-32$"),
        ("ViT-L-14", "dfn2b", "set embed.model: ViT-L-14-quickgelu"),
    ],
)
def test_a_tag_with_the_other_gelu_is_refused_before_any_download(monkeypatch, model, tag, fix):
    monkeypatch.setattr(
        pretrained, "download_pretrained", lambda settings: pytest.fail("downloads")
    )
    with pytest.raises(StudyError, match=fix):
        load(tag, model)


def test_a_checkpoint_with_the_other_gelu_is_refused_where_its_name_or_neighbours_tell(
    tmp_path, tiny
):
    weights = tiny.model.state_dict()
    quick, plain = "tiny-clip-quickgelu", "tiny-clip"
    for name in (
        "vit_openai.pt",
        "tiny-quickgelu-x.pt",
        "vit_b_32-quickgelu-laion400m_e31-d867053b.pt",
    ):
        file = broken(tmp_path, weights, name)
        with pytest.raises(StudyError, match=f"QuickGELU, .*; set embed.model: {quick}"):
            load(file, plain)
        assert load(file, quick).quick_gelu
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY}))
    file = broken(tmp_path, weights, "model.pt")
    with pytest.raises(StudyError, match=f"trained with GELU, .*; set embed.model: {plain}"):
        load(file, quick)
    assert not load(file, plain).quick_gelu


def test_a_checkpoint_from_the_cache_of_an_openai_repository_is_known(tmp_path, tiny):
    snapshot = tmp_path / "models--timm--vit_base_patch32_clip_224.openai" / "snapshots" / "1"
    snapshot.mkdir(parents=True)
    file = broken(snapshot, tiny.model.state_dict())
    with pytest.raises(StudyError, match="trained with QuickGELU"):
        load(file)


def test_openai_s_own_buffers_tell_and_are_dropped(tmp_path, tiny):
    extra = {"input_resolution": torch.tensor(32), "vocab_size": torch.tensor(49408)}
    file = broken(tmp_path, tiny.model.state_dict() | extra)
    with pytest.raises(StudyError, match="trained with QuickGELU"):
        load(file)
    assert load(file, "tiny-clip-quickgelu").trained


# Downloads and folders


def test_a_failed_download_is_one_line(monkeypatch):
    def fail(settings):
        raise FileNotFoundError("Failed to download file\nand a long story")

    monkeypatch.setattr(pretrained, "download_pretrained", fail)
    with pytest.raises(
        StudyError, match=r"'laion2b_s34b_b79k' of ViT-B-32 could not.*file\); conn"
    ):
        load("laion2b_s34b_b79k", "ViT-B-32")


def test_a_download_that_differs_from_its_checksum_is_refused(tmp_path, monkeypatch):
    blobs, snapshot = tmp_path / "m" / "blobs", tmp_path / "m" / "snapshots" / "1"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    (blobs / ("0" * 64)).write_bytes(b"damaged")
    file = snapshot / "open_clip_model.safetensors"
    file.symlink_to(blobs / ("0" * 64))
    monkeypatch.setattr(pretrained, "download_pretrained", lambda settings: str(file))
    with pytest.raises(StudyError, match=r"SHA-256 is [0-9a-f]{64} instead of 0+; remove .*/m and"):
        load("laion2b_s34b_b79k", "ViT-B-32")


def test_a_folder_that_holds_no_model_is_refused(tmp_path):
    with pytest.raises(StudyError, match=r"open_clip_config.json not found; run 'dvc repro pre"):
        load_encoder("texture-clip", None, tmp_path / "none", 0, CPU)
    with pytest.raises(StudyError, match=r"open_clip_config.json not found$"):
        load(None, str(tmp_path))
    (tmp_path / "open_clip_config.json").write_text("{}")
    with pytest.raises(StudyError, match=r"holds no open_clip_model.safetensors or"):
        load(None, str(tmp_path))
    (tmp_path / "open_clip_model.safetensors").touch()
    for content, fault in (
        ("{}", "model_cfg: missing; add it"),
        ("not JSON", "not JSON: "),
        (json.dumps({"model_cfg": TINY | {"typo": 1}}), "model_cfg.typo: unknown key"),
    ):
        (tmp_path / "open_clip_config.json").write_text(content)
        with pytest.raises(StudyError, match=f"config.json: {fault}"):
            load(None, str(tmp_path))


def test_a_folder_s_weights_that_do_not_fit_are_refused(tmp_path):
    folder = write_model(tmp_path / "model")
    config = {"model_cfg": TINY | {"embed_dim": 8}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(StudyError, match=r"model.safetensors does not fit .* has shape \["):
        load(None, str(folder))


def test_a_folder_and_a_checkpoint_together_are_refused(folder):
    with pytest.raises(StudyError, match=r"embed.pretrained: 'openai' does not go with"):
        load("openai", str(folder))
