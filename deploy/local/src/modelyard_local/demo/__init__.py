"""`modelyard demo`: the main job once, for real, on a small stack of its own, with nobody pressing a button."""
