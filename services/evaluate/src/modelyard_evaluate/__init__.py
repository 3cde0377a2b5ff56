"""Measures models on labelled data: accuracy, confusion, ROC, plots."""
