"""Every example of the OpenAPI document is one that the gateway accepts."""

from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.shapes import Role


class Everything(dict):
    """Whatever is asked, a service refuses it in a way that no validation of the gateway would."""

    def __missing__(self, subject):
        return Failure(FailureKind.UNAVAILABLE, "ModelArts.9001", subject)


async def test_each_example_reaches_its_service(yard) -> None:
    yard.calls.answers = Everything()
    headers = await yard.token(Role.ADMIN)
    document = (await yard.http.get("/openapi.json")).json()
    sent = 0
    for path, operations in document["paths"].items():
        content = operations.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        schema = content.get("schema", {})
        for example in schema.get("examples", []) + content.get("examples", []):
            url = (
                path.replace("{project_id}", "default")
                .replace("{evaluation_id}", "e")
                .replace("{", "")
                .replace("}", "")
            )
            reply = await yard.http.post(url, headers=headers, json=example)
            assert reply.json()["error_code"] == "ModelArts.9001", (url, reply.text)
            sent += 1
    assert sent >= 11
