"""ONNX to ONNX. Empty: `program` runs where only its tools are installed."""
