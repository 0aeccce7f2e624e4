"""What workloads share whose ranks exchange tensors."""
