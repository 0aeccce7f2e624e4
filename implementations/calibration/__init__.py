"""Steps whose truth is known: for testing the harness, and for testing a machine."""
