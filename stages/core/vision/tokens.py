"""Tokenisers of models, which refuse what a model could not read whole."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import open_clip
import torch
from open_clip.model import CLIP, CustomTextCLIP

from stages.core.runtime.errors import StudyError, quoted
from stages.core.vision.messages import quiet, reason
from stages.core.vision.model_files import Keys


def load_tokeniser(source: str, name: str, config: dict, keys: Keys) -> Any:
    """open_clip's tokeniser of a model; one of transformers never brings code of its own."""
    hub = config["text_cfg"].get("hf_tokenizer_name")
    try:
        with quiet():
            return open_clip.get_tokenizer(source, **({"trust_remote_code": False} if hub else {}))
    except Exception as error:  # transformers raises nearly anything for what is not there
        what = f"tokeniser {hub}" if hub else "tokeniser"
        raise StudyError(
            f"{keys.model}: the {what} of {name} could not be loaded ({reason(error)}); connect "
            "to the network if it is on a hub, or choose another model"
        ) from None


def vocabulary_of(model: CLIP | CustomTextCLIP) -> int:
    """The number of tokens that the model's text tower knows."""
    return getattr(model, "vocab_size", None) or model.text.vocab_size


def whole_texts(tokenise: Any, vocabulary: int, keys: Keys) -> Callable[[list[str]], torch.Tensor]:
    """open_clip's tokeniser, which would cut a long text off in silence, with an error instead.

    A text fits where a context of twice the length adds padding alone. What a tokeniser pads with,
    and on which side, differs, and some pad with the token that also ends a text, so that it is
    read off the empty text. vocabulary: the number of tokens that the model knows.
    """
    length = tokenise.context_length
    empty, padded = (Counter(tokenise([""], n)[0].tolist()) for n in (length, 2 * length))
    padding = list((padded - empty).elements())
    if len(padding) != length or len(set(padding)) != 1:
        raise StudyError(f"{keys.model}: a context of {length} tokens has no room for a text")

    def tokens_of(texts: list[str]) -> torch.Tensor:
        tokens, longer = tokenise(texts, length), tokenise(texts, 2 * length)
        for text, short, long in zip(texts, tokens.tolist(), longer.tolist(), strict=True):
            if not _is_padded(short, long, padding):
                raise StudyError(
                    f"{keys.texts}: {quoted(text)} is longer than the {length} tokens that the "
                    "model reads; shorten it, or choose a model that reads more"
                )
        if tokens.max() >= vocabulary:
            raise StudyError(
                f"{keys.model}: its tokeniser has token {tokens.max()}, while its text tower knows "
                f"{vocabulary}; they belong to different models"
            )
        return tokens

    return tokens_of


def _is_padded(short: list[int], long: list[int], padding: list[int]) -> bool:
    """Whether `long` is `short` with the padding, in one piece, put in somewhere."""
    pairs = enumerate(zip(short, long[: len(short)], strict=True))
    place = next((i for i, (one, other) in pairs if one != other), len(short))
    return long == short[:place] + padding + short[place:]
