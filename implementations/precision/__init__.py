"""Mixed precision: one training step in several arithmetics."""
