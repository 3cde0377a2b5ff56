"""Public bodies that differ from the contract behind them (docs/adr/0005); the others are the contract's own."""
