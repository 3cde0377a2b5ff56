"""Gives every test the shared servers (`s3_server`, `nats_server`, `mongo_uri`), and the same terminal everywhere.

None of the servers starts before it is asked for.
"""

pytest_plugins = ["modelyard_testkit.servers", "modelyard_testkit.terminal"]
