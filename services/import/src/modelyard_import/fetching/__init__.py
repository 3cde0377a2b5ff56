"""How a package gets from where it lies into the version's own folder: list, check, copy, inspect."""
