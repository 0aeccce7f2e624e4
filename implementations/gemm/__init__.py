"""Matrix products: the roof of what a device computes."""
