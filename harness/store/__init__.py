"""Runs on disk: one folder each, written by one process alone, so that any number can be read together."""
