"""What the publish service decides, without doing any of it: pure functions over frozen values."""
