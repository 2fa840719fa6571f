"""Models, written as open_clip publishes them."""

from pathlib import Path

import open_clip
from safetensors.torch import save_file

from stages.core.runtime.files import whole_folder, write_json
from stages.core.vision.model_files import CARD, CONFIG_FILE, WEIGHTS_FILES
from stages.core.vision.open_clip_encoder import OpenClipEncoder


def write_model(folder: Path, encoder: OpenClipEncoder, stage: str, card: str) -> None:
    """Write the model and its card to a folder of `stage`; float16 halves what git has to hold."""
    weights = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous().cpu()
        for name, tensor in encoder.model.state_dict().items()
    }
    with whole_folder(folder, stage) as unfinished:
        write_json(
            unfinished / CONFIG_FILE,
            {"model_cfg": encoder.config, "preprocess_cfg": encoder.preprocessing},
        )
        if encoder.config["text_cfg"].get("hf_tokenizer_name"):
            open_clip.get_tokenizer(encoder.source).save_pretrained(unfinished)
        save_file(weights, unfinished / WEIGHTS_FILES[0])
        (unfinished / CARD).write_text(card, encoding="utf-8")
