"""Image classification: which of the classes a sample belongs to. Nothing outside this folder knows what a class is."""

NAME = "image-classification"
