"""The search for what could harm whoever loads a package: docs/scanning.md."""
