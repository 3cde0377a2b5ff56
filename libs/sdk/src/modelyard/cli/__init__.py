"""The `modelyard` command line. One module per group of commands; `main` turns errors into messages and exit codes."""

from modelyard.cli.app import main as main
