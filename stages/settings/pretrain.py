"""Settings of pretrain."""

from typing import Literal

from pydantic import Field

from stages.core.runtime.params import LARGEST, Count, Number, Section, Seed, Text

IMAGE_TOWER, RANDOM = "image-tower", "random"  # what `init` may be but a tag or a file


class PretrainParams(Section):
    name = "pretrain"
    architecture: Text = Field(
        description="an architecture of open_clip, or one of two small ones for procedurally "
        "generated textures: 'texture-lite0-96', whose image tower can start from photographs, and "
        "'texture-net-96'",
    )
    init: Text | None = Field(
        description="weights to start from: a pretrained tag of open_clip, a checkpoint file, or "
        f"'{IMAGE_TOWER}' for those of the image tower alone, where it is one of timm; "
        f"'{RANDOM}', like null, starts at random"
    )
    source: Literal["textures", "data"] = Field(
        description="where pairs come from: 'textures' are procedurally generated, 'data' is the "
        "fetched train split"
    )
    steps: Count = Field(description="number of optimisation steps")
    warmup_steps: int = Field(
        ge=0, le=LARGEST, description="number of steps in which the learning rate rises"
    )
    batch_size: int = Field(ge=2, le=LARGEST, description="pairs of image and caption in a step")
    optimiser: Literal["muon", "adamw"] = Field(
        description="'muon' learns from scratch in fewer steps; 'adamw' suits fine-tuning"
    )
    learning_rate: Number = Field(gt=0, description="peak learning rate")
    weight_decay: Number = Field(ge=0, description="weight decay of matrices and kernels")
    noise: Number = Field(
        ge=0,
        description="largest standard deviation of the noise on training images, in "
        "CLIP-normalised pixels",
    )
    round_pairs: int = Field(
        ge=2,
        le=LARGEST,
        description="pairs in a round, which are in memory at once and then replaced",
    )
    round_views: Count = Field(
        description="how often each pair of a round is used, every time in another view"
    )
    held_out_pairs: int = Field(
        ge=2, le=LARGEST, description="pairs that are never trained on, for the metrics"
    )
    checkpoint_steps: Count = Field(description="number of steps between two checkpoints")
    seed: Seed
    device: Text = Field(
        description="device of PyTorch: 'auto', 'cpu', 'cuda', 'cuda:1', 'mps', ..."
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        description="number format of training; auto takes bf16 where the hardware has it"
    )
