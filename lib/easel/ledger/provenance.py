"""Where something was made: the machine, for records and for readers; and the note of it beside a record, KEY.json."""

import ctypes
import json
import os
import platform
import re
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np

from easel import files
from easel.errors import UserError

_KINDS = dict.fromkeys(("host", "device", "system", "python", "torch", "numpy", "bitwise", "way", "finished"), str)
_KINDS |= dict.fromkeys(("recipe_version", "at_once"), int) | {"seconds": int | float}  # of a note, where it is there


@cache
def machine(device: str = "cpu") -> dict:
    """What a record says of where it was made."""
    import torch

    from easel.ledger.trial import RECIPE_VERSION

    gpu = device == "cuda"
    return {
        "host": platform.node(),
        "device": torch.cuda.get_device_name() if gpu else processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "recipe_version": RECIPE_VERSION,
        "bitwise": "not guaranteed: GPU kernels may sum in another order" if gpu else "one CPU thread",
    }


def asked_device() -> str | None:
    """$EASEL_DEVICE, if it is set; UserError where that is none, or a GPU that is not there. PyTorch is not needed."""
    asked = os.environ.get("EASEL_DEVICE") or None
    if asked not in (None, "cpu", "cuda"):
        raise UserError(f"EASEL_DEVICE={asked}: one of cpu, cuda")
    if asked == "cuda" and not _gpus():
        raise UserError("EASEL_DEVICE=cuda: this machine has no GPU that CUDA can use; unset it or use cpu")
    return asked


def _gpus() -> int:
    """GPUs that this process may use, by CUDA's driver."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
        count = ctypes.c_int(0)
        return count.value if not driver.cuInit(0) and not driver.cuDeviceGetCount(ctypes.byref(count)) else 0
    except (OSError, AttributeError):  # no driver, or none of CUDA's
        return 0


def words() -> str:
    """The machine in words, without its name: processor, cores, GPU if one is in use, Python and PyTorch versions."""
    torch = sys.modules.get("torch")  # a page needs none
    gpu = [torch.cuda.get_device_name()] if torch is not None and torch.cuda.is_available() else []
    libraries = [f"PyTorch {torch.__version__}"] if torch is not None else []
    return "; ".join([processor(), *gpu, f"Python {platform.python_version()}", *libraries])


def processor() -> str:
    """Processor and number of cores."""
    name, cores = platform.processor() or platform.machine(), os.cpu_count() or 1
    with suppress(OSError, TypeError):  # no such file where it is not Linux, no such line on some processors
        name = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[1].strip()
    return f"{name}, {cores} core{'' if cores == 1 else 's'}"


def note_bytes(made: dict) -> bytes:
    """What is written beside a record on how it came about: JSON with the digest of its own content."""
    return json.dumps(files.sealed(made), indent=1).encode()


def note_of(blob: bytes) -> dict:
    """How a record came about, of a note's bytes. ValueError says why it cannot be believed.

    The notes of earlier versions have no digest; of those, what they say has the right kind, or is not believed.
    """
    made = files.unsealed(blob)
    made.pop("sha256", None)
    for name in made.keys() & _KINDS:
        if not isinstance(made[name], _KINDS[name]) or isinstance(made[name], bool):
            raise ValueError(f"{name!r} is {made[name]!r:.40}")
    if not 0 <= made.get("seconds", 0) < 1e12:
        raise ValueError(f"'seconds' is {made['seconds']}")
    return made
