"""MindSpore's three: MindIR, Lite, and Ascend's offline model."""
