"""Gallery listings, competitions, entries and leaderboards."""
