"""Everything on one machine: embedded NATS and S3, all services, the demo."""
