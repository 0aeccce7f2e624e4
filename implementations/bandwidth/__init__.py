"""Passes through memory: the roof of what a device moves."""
