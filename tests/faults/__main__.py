"""Every fault, as often as the long run wants: `make faults`, or python tests/faults [NAME ...] [--share 0.01].

A run that was stopped goes on where it was: the log stands in .faults.jsonl of the working folder; remove it to begin
again. The table that it ends with, in Markdown, is the one in the README; --table prints it and tries nothing.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "lib"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="of faults, or the beginnings of their names (default: all)")
    parser.add_argument("--share", type=float, default=1.0, help="of the tries, such as 0.01")
    parser.add_argument("--jobs", type=int, default=2, help="faults at a time (default: 2)")
    parser.add_argument("--table", action="store_true", help="only print what the log has so far")
    parser.add_argument("--log", type=Path, default=Path(".faults.jsonl"))
    options = parser.parse_args()
    options.log = options.log.absolute()  # a fault may work in a folder of its own
    with tempfile.TemporaryDirectory(prefix="easel-faults-") as results:
        os.environ |= {"EASEL_RESULTS": results, "EASEL_DEVICE": "cpu", "EASEL_RETRAIN": ""}
        import torch

        torch.set_num_threads(1)
        import all_faults
        import harness

        from easel.data import sets

        sets.load("patterns")  # drawn once, for all that are forked from here
        asked = [] if options.table else options.names or [""]
        chosen = list(dict.fromkeys(name for start in asked for name in harness.FAULTS if name.startswith(start)))
        whole = harness.run_apart(chosen, options.log, options.share, options.jobs)
    log = harness.Log(options.log)
    print(log.table())
    assert all_faults
    return int(not whole or any(log.bad.values()))


if __name__ == "__main__":
    sys.exit(main())
