"""Scaling: how a step of training divides over processes."""
