"""HTTP client and the `modelyard` command line."""
