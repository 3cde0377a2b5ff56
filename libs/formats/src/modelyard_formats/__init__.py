"""One file per model format: recognise, inspect, run."""
