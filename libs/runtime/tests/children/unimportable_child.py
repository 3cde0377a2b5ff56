"""A child whose toolchain is not installed."""

import a_toolchain_that_is_not_installed  # type: ignore[import-not-found]  # noqa: F401 - it is the import that fails
