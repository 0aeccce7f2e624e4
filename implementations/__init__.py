"""Workloads and their implementations, one folder a workload; the catalog finds them by name."""
