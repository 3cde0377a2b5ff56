"""Puts published versions where others find them: the gallery and the competitions."""
