"""What one can ask a gateway, one class for each thing. `Client` holds one of each."""
