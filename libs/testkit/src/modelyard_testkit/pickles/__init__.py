"""Pickles of every kind, and what real loaders do with them: the scan is measured against that.

`writing` and `damaging` make files from a seed and know nothing of how the scan reads; `loading` is a confined process.
"""
