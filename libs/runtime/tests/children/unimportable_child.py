"""A child whose toolchain is not installed."""

import a_toolchain_that_is_not_installed  # noqa: F401
