"""What modelyard knows about model files: recognise, inspect without executing, run, feed with images.

Start at `package.check` (a whole package), `package.listing` (refuse a package by its file names alone), `table` (every
format there is), `images.preprocess` (images to tensors) and `scores` (which output is the score vector).
"""
