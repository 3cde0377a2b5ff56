"""The rules of a whole package: its listing, its config.json, its model, and that they agree."""
