"""Images as input tensors."""
