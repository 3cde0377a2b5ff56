"""One signed S3 request, by hand: is the store ready for these keys? Called by `servers.S3Server`.

It stands apart from the S3 client because it is asked a hundred times a second, on the event loop, before there is
anything to talk to. AWS Signature Version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
from datetime import UTC, datetime

_REGION = "us-east-1"
_EMPTY = hashlib.sha256(b"").hexdigest()


def list_buckets_request(host: str, access_key: str, secret_key: str) -> bytes:
    """The bytes of `GET /` for `host` (`name:port`) over HTTP/1.1, signed now."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    signed = {"host": host, "x-amz-content-sha256": _EMPTY, "x-amz-date": now}
    names = ";".join(signed)
    canonical = "\n".join(["GET", "/", "", *(f"{k}:{v}" for k, v in signed.items()), "", names, _EMPTY])
    scope = f"{now[:8]}/{_REGION}/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    authorization = f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    headers = signed | {"authorization": authorization, "connection": "close"}
    return ("GET / HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode()
