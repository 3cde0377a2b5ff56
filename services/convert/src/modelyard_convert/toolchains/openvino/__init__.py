"""To OpenVINO IR. Empty: `program` runs where only its tools are installed."""
