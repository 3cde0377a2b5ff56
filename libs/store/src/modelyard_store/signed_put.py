"""A presigned PUT for exactly so many bytes. The driver signs nothing but the host, so any length would be taken.

AWS Signature Version 4 in the query ("Authenticating Requests: Using Query Parameters", Amazon S3 API reference), with
`content-length` among the signed headers: the store refuses a request that declares another length, or none.
"""

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Final
from urllib.parse import SplitResult, quote, urlencode, urlunsplit

from minio.credentials.credentials import Credentials

LONGEST: Final = 7 * 86_400  # seconds
_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_SIGNED: Final = "content-length;host"


def signed_put(
    url: SplitResult, credentials: Credentials, region: str, *, length: int, expires: int, at: datetime | None = None
) -> str:
    """`url` with a query that is encoded already. Raises ValueError for more than seven days."""
    if not 1 <= expires <= LONGEST:
        raise ValueError("expires must be between 1 second and 7 days")
    at = at or datetime.now(UTC)
    scope = f"{at:%Y%m%d}/{region}/s3/aws4_request"
    query = {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key}/{scope}",
        "X-Amz-Date": f"{at:%Y%m%dT%H%M%SZ}",
        "X-Amz-Expires": str(expires),
        "X-Amz-SignedHeaders": _SIGNED,
    }
    parts = [*filter(None, url.query.split("&")), *urlencode(query, quote_via=quote, safe="").split("&")]
    asked = "&".join(sorted(part if "=" in part else f"{part}=" for part in parts))
    headers = f"content-length:{length}\nhost:{url.netloc}\n"
    request = "\n".join(("PUT", url.path, asked, headers, _SIGNED, "UNSIGNED-PAYLOAD"))
    digest = hashlib.sha256(request.encode()).hexdigest()
    signed = "\n".join((_ALGORITHM, query["X-Amz-Date"], scope, digest))
    key = b"AWS4" + credentials.secret_key.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, signed.encode(), "sha256").hex()
    return urlunsplit(url._replace(query=f"{asked}&X-Amz-Signature={signature}"))
