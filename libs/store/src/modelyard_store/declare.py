"""`python -m modelyard_store.declare`: makes the buckets, once per deployment.

Reads MODELYARD_S3_ENDPOINT, MODELYARD_S3_ACCESS_KEY, MODELYARD_S3_SECRET_KEY, MODELYARD_S3_SECURE (default false),
MODELYARD_S3_REGION (default us-east-1) and MODELYARD_BUCKETS (default "artifacts,training,datasets"). Exit status 1,
with the reason on stderr, when the store cannot be reached or refuses.
"""

import asyncio
import os
import sys
from collections.abc import Mapping

from modelyard_store.objects import ObjectError, Objects, ObjectSettings


async def declare(environment: Mapping[str, str]) -> None:
    """Raises ObjectError."""
    objects = Objects.connect(
        ObjectSettings(
            endpoint=environment.get("MODELYARD_S3_ENDPOINT", "127.0.0.1:9000"),
            access_key=environment.get("MODELYARD_S3_ACCESS_KEY", ""),
            secret_key=environment.get("MODELYARD_S3_SECRET_KEY", ""),
            secure=environment.get("MODELYARD_S3_SECURE", "false").lower() == "true",
            region=environment.get("MODELYARD_S3_REGION", "us-east-1"),
        )
    )
    try:
        for bucket in environment.get("MODELYARD_BUCKETS", "artifacts,training,datasets").split(","):
            await objects.ensure_bucket(bucket.strip())
    finally:
        await objects.close()


def main() -> int:
    try:
        asyncio.run(declare(os.environ))
    except ObjectError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
