"""The device and the number format that a model computes in, and the cores that it computes on."""

import platform
import warnings
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

import torch
from joblib import Parallel, delayed

from stages.core.runtime.errors import StudyError
from stages.core.runtime.parallel import available_cores
from stages.core.vision.packing import can_pack

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

Item = TypeVar("Item")
Result = TypeVar("Result")


def choose_device(name: str, key: str = "embed.device") -> torch.device:
    """The device of that name, or for 'auto' the best there is: CUDA, then MPS, then the CPU.

    Raises StudyError, which names the setting `key`, for a device that is not here.
    """
    cuda, mps = torch.cuda.device_count(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    here = [f"cuda:{i}" for i in range(cuda)] + ["mps"] * mps + ["cpu"]
    if name not in [*here, *(["cuda"] if cuda else [])]:
        raise StudyError(f"{key}: no {name!r} here; set auto or one of {', '.join(here)}")
    return torch.device(name)


def choose_devices(name: str) -> list[torch.device]:
    """The devices that `embed` uses together: for 'auto' all GPUs of the machine, else one.

    Raises StudyError as `choose_device` does.
    """
    gpus = torch.cuda.device_count() if name == "auto" else 0
    return [torch.device(f"cuda:{i}") for i in range(gpus)] or [choose_device(name)]


def description_of(device: torch.device) -> str:
    """What computes, in so far as other hardware of its kind may round otherwise."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    capability = f" {torch.backends.cpu.get_cpu_capability()}" if device.type == "cpu" else ""
    return f"{device.type} {platform.machine()}{capability}"


def choose_precision(name: str, device: torch.device) -> str:
    """`name`, or for 'auto' bf16 where the hardware computes in it and fp32 elsewhere."""
    if name != "auto":
        return name
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        fast = bool(torch.cpu.get_capabilities().get("avx512_bf16")) and can_pack()
    else:
        fast = False
    return "bf16" if fast else "fp32"


def fix_of_precision(precision: str) -> str:
    """What to do about an embedding that is not finite."""
    if precision == "fp32":
        return "the model's weights are damaged, fetch them again"
    return "set embed.precision: " + ("bf16 or fp32" if precision == "fp16" else "fp32")


def map_on_cores(
    device: torch.device,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int | None = None,
) -> Generator[Result]:
    """function(item) of each item, in order, by threads.

    Closed early, as by `closing`, it ends the threads without finishing what is left.

    workers: the number of threads; one for every core by default, one alone on an accelerator.
    On a CPU each thread computes on one core of its own, so that no result depends on the number
    of cores: torch shares out sums over as many threads as it may use.
    """
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
        workers = workers or available_cores()
    pool = Parallel(workers or 1, backend="threading", return_as="generator")
    results = pool(delayed(function)(item) for item in items)
    try:
        for result in results:  # noqa: UP028 'yield from' would close them before what is below
            yield result
    finally:
        with warnings.catch_warnings(action="ignore"):  # joblib's, that tasks were cut short
            results.close()
        torch.set_num_threads(before)
