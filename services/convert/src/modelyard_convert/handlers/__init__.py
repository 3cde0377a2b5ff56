"""What the convert service answers, hears and works on; bound to the bus in bootstrap."""
