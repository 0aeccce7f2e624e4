"""Decoding: methods of making text with a language model, and what they share."""
