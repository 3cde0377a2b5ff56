"""Refits a model for a chip, with parity proof and benchmark."""
