"""Builders, fakes and throw-away NATS, S3 and MongoDB-wire servers for tests."""
