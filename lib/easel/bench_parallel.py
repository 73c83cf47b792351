"""Whether two cores train twice as much as one: worker processes of one thread and one trial each, by turns."""

import multiprocessing as mp
import time

import torch

from easel.bench_loops import easel, noise, trial_on
from easel.bench_report import paired
from easel.ledger.trial import Recipe
from easel.train import ensure as run


def measure_parallel(model: str, repeats: int, seconds: float, workers: int = 2) -> dict:
    """Images a second of one worker process alone and of all together, by turns; efficiency 1 = linear."""
    context = mp.get_context("spawn")
    barrier = context.Barrier(workers)
    ends = [context.Pipe(duplex=False) for _ in range(workers)]
    processes = [
        context.Process(target=_beside, args=(rank, model, repeats, seconds, barrier, theirs), daemon=True)
        for rank, (_, theirs) in enumerate(ends)
    ]
    for process in processes:
        process.start()
    for _, theirs in ends:
        theirs.close()  # theirs alone now, so that a worker's death is heard
    try:
        rates = [ours.recv() for ours, _ in ends]  # of each: alone (the first only) and together, a repeat each
    except EOFError:
        raise RuntimeError("a process of the parallel measurement ended before it had measured") from None
    finally:
        for process in processes:
            process.terminate()
            process.join()
        for ours, _ in ends:
            ours.close()
    alone, together = rates[0]["alone"], [sum(t) for t in zip(*(r["together"] for r in rates), strict=True)]
    speed_up = paired(together, alone)
    return {"model": model, "workers": workers, "alone": alone, "together": together, "speed_up": speed_up}


def _beside(rank: int, model: str, repeats: int, seconds: float, barrier, answer) -> None:
    """A worker process of measure_parallel."""
    torch.set_num_threads(1)
    recipe = Recipe(precision=run.precision())
    images = 8 * recipe.batch_size
    epoch = easel(trial_on(noise(images), model, images, recipe), "cpu")["easel"]
    epoch()

    def rate() -> float:
        started, count = time.perf_counter(), 0
        while (spent := time.perf_counter() - started) < seconds or not count:
            epoch()
            count += images
        return count / spent

    rates = {"alone": [], "together": []}
    for _ in range(repeats):
        barrier.wait(timeout=300)
        if rank == 0:
            rates["alone"].append(rate())
        barrier.wait(timeout=300)
        rates["together"].append(rate())
    answer.send(rates)
