"""Pickles read as symbols: nothing is imported and nothing is called."""
