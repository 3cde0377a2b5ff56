"""Spark MLlib."""
