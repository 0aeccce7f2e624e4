"""Attention, forward: softmax(scale * Q K^T) V, by several methods."""
