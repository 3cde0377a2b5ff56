"""Gives every test the shared servers (`s3_server`, `nats_server`, `mongo_uri`); none starts before it is asked for."""

pytest_plugins = ["modelyard_testkit.servers"]
