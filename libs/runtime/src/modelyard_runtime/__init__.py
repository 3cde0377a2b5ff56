"""The process shell: settings, logging, metrics, health, signals, confined subprocesses."""
