"""TensorFlow's two: SavedModel and frozen graph."""
