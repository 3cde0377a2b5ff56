"""The processes of a conversion, started by `conversion`; between them lie files. Empty: `refit` runs where nothing of
ours is installed (README.md)."""
