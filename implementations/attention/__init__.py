"""Attention, softmax(scale * Q K^T) V, and its gradients, by several methods."""
