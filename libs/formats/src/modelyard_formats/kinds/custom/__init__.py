"""Files of a kind that the yard does not know."""
