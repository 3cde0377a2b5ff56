"""Documents (MongoDB by Motor, or SQLite) and objects (any S3)."""
