"""Where something was made: the machine, for records and for readers."""

import os
import platform
import re
import sys
from functools import cache
from pathlib import Path

import numpy as np


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


def words() -> str:
    """The machine in words, without its name: processor, cores, GPU if one is in use, Python and PyTorch versions."""
    torch = sys.modules.get("torch")  # a page needs none
    gpu = [torch.cuda.get_device_name()] if torch is not None and torch.cuda.is_available() else []
    libraries = [f"PyTorch {torch.__version__}"] if torch is not None else []
    return "; ".join([processor(), *gpu, f"Python {platform.python_version()}", *libraries])


def processor() -> str:
    """Processor and number of cores."""
    name, cores = platform.processor() or platform.machine(), os.cpu_count() or 1
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        name = found[1].strip() if found else name
    except OSError:
        pass  # not Linux
    return f"{name}, {cores} core{'' if cores == 1 else 's'}"
