"""HTTP in, NATS out. The gateway owns projects and access tokens; everything else it asks the other services."""
