"""Where fp16 ends, and what is said of a model that was watched for it, or could not be. The standard library only:
programs of every toolchain come here."""

FP16_MAX = 65504.0  # the largest finite value
NEAR = 0.25
"""Of that: other samples may well reach it."""
MASK_FROM = 1e30
"""What is so large, or infinite, masks something out: clamped it still does."""
UNSEEN = f"whether anything inside is beyond {FP16_MAX:.0f}, where fp16 ends"
NO_SAMPLES = f"no samples show {UNSEEN}"
TOO_LARGE = f"too large to see {UNSEEN}"


def unwatched(error: Exception) -> str:
    """All tensors at once may not fit, or not run; the conversion may well."""
    reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
    return f"it could not be seen {UNSEEN}: {reason[0]}"
