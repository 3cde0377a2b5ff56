"""skops."""
