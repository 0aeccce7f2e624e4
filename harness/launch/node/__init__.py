"""The other hosts of a run: they meet through torchrun, and fork ranks when the first host asks."""
