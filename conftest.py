"""Gives every test the shared servers (`s3_server`, `nats_server`, `mongo_uri`), a `service_stack` around one service
and the same terminal everywhere.

None of the servers starts before it is asked for.
"""

import signal

from hypothesis import HealthCheck, settings

pytest_plugins = ["modelyard_testkit.servers", "modelyard_testkit.service_stack", "modelyard_testkit.terminal"]

# Whoever starts the tests in the background of a script has Ctrl-C ignored, and all that they start with them.
signal.signal(signal.SIGINT, signal.default_int_handler)

# An example may take as long as it takes: others may use the machine too.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
