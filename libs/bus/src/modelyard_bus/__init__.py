"""Delivery over NATS JetStream: consume, settle, relay, dead letters, request/reply."""
