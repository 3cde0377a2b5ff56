"""Writes requests.json: requests as the official signer signs and `requests` sends them.

It needs `pip install huaweicloudsdkcore` in an environment of its own: python services/gateway/tests/signed/make.py
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import requests
from huaweicloudsdkcore.sdk_request import SdkRequest  # type: ignore[import-not-found]  # installed by hand to make the vectors
from huaweicloudsdkcore.signer.signer import Signer  # type: ignore[import-not-found]  # installed by hand to make the vectors

MASTER_KEY = "master-key" * 4
ACCESS_KEY_ID = "MY0123456789ABCDEF0123"
DATE = "20261122T100000Z"
HOST = "yard.example:8080"
BODY = json.dumps(
    {"model_name": "手写数字", "source_location": "s3://training/digits/V001"}, ensure_ascii=False
).encode()
JSON = {"Content-Type": "application/json"}


class WithoutHost(Signer):  # type: ignore[misc]  # so its class is unknown
    """Lists what Terraform's provider lists: the headers that were set, and Host is none of them."""

    @classmethod
    def _process_signed_headers(cls, request: SdkRequest) -> list[str]:
        return [name for name in super()._process_signed_headers(request) if name != "host"]


def signed(
    method: str,
    path: str,
    query: list[tuple[str, Any]],
    headers: dict[str, str],
    body: bytes = b"",
    signer: type[Signer] = Signer,
) -> dict[str, Any]:
    secret = base64.urlsafe_b64encode(hmac.digest(MASTER_KEY.encode(), ACCESS_KEY_ID.encode(), "sha256"))
    request = SdkRequest(
        method=method,
        schema="http",
        host=HOST,
        resource_path=path,
        query_params=query,
        header_params={"X-Sdk-Date": DATE, **headers},
        body=body,
    )
    signer(SimpleNamespace(ak=ACCESS_KEY_ID, sk=secret.decode().rstrip("="))).sign(request)
    sent = requests.Request(method, request.url, headers=request.header_params, data=body or None).prepare()
    return {
        "method": method,
        "target": sent.path_url,
        "headers": {name: _text(value) for name, value in sent.headers.items()},
        "body": body.decode(),
    }


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def main() -> None:
    base = "/v1/default"
    found = {
        "query": signed("GET", f"{base}/models", [("model_name", "a b&c=ü~/+%25*'(数)"), ("limit", 5)], JSON),
        "repeated": signed("GET", f"{base}/models/compare", [("model_id", ["z", "Z", "é", "a"])], JSON),
        "post": signed("POST", f"{base}/models", [], {**JSON, "User-Agent": "huaweicloud-usdk-python/3.0"}, BODY),
        "declared": signed(
            "POST", f"{base}/models", [], {**JSON, "X-Sdk-Content-Sha256": hashlib.sha256(BODY).hexdigest()}, BODY
        ),
        "unsigned": signed("POST", f"{base}/models", [], {"Content-Type": "text/plain"}, BODY),
        "delete": signed("DELETE", f"{base}/models/m", [("cascade", True)], {}),
        "path": signed("DELETE", f"{base}/tokens/%E4%BA%BA%20a~b%2541", [], {"X-Note": "人 员"}),
        "slash": signed("GET", f"{base}/", [], {}),
        "without-host": signed("POST", f"{base}/models", [], {**JSON, "Accept": "application/json"}, BODY, WithoutHost),
    }
    text = json.dumps(found, ensure_ascii=False, indent=1) + "\n"
    (Path(__file__).parent / "requests.json").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
