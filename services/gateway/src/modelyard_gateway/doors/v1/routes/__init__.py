"""One module per resource. A route checks the caller's role, asks one service and answers with its reply."""
