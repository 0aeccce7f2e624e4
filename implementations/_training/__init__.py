"""What the workloads that train share: models, their data, and where training begins."""
