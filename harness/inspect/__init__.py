"""What kernels compile to: made in a process of its own, read from the machine code, kept as a run."""
