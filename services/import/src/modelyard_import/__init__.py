"""Brings models in: training jobs and rules, object storage, uploads."""
