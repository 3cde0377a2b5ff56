"""One application per dialect of HTTP, each with its own error shape and its own way to find project and caller."""
