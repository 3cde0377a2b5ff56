"""What the publish service answers and hears, by topic. Bound to the bus in bootstrap."""
