"""Where every random draw of a trial comes from."""

import hashlib

import torch


def stream(seed: int, purpose: str, epoch: int = 0) -> torch.Generator:
    """A random stream of its own for each (seed, purpose, epoch): 'weights', 'order', 'augmentation', 'dropout', ...

    Drawn on the CPU whatever the device, so that the draws do not depend on where a trial runs, and anew for each
    epoch, so that an interrupted trial goes on without having to store the state of a generator.
    """
    digest = hashlib.sha256(f"easel/{seed}/{purpose}/{epoch}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
