"""HTTP in, NATS out: routes, tokens, projects, live events."""
