"""From trials to records: the loop and its batches, workers on CPUs, graphs on GPUs, a cluster, and `ensure`."""
