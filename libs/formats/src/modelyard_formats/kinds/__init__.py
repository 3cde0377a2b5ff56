"""One folder a kind of model, no folder knows another; `table` lists their rows."""
