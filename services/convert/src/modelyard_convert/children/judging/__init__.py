"""How an output is compared with its reference, by what it is. Numpy only; called by `proof`."""
