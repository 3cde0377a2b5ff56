"""What every refusal of the gateway must look like, for the tests that meet one."""

import httpx


def refused(reply: httpx.Response, status: int, code: str) -> list[dict[str, str]]:
    """Asserts the one error shape; returns its problems."""
    assert reply.status_code == status, reply.text
    body = reply.json()
    assert body["error_code"] == code
    assert body["error_msg"]
    assert body["correlation_id"] == reply.headers["x-correlation-id"]
    assert "Traceback" not in reply.text
    problems: list[dict[str, str]] = body["problems"]
    return problems
