"""What can be measured: one folder a task, one row a task in `table`."""
