"""The description of the API: valid, open to all, whole, and of what really answers."""

import re
from collections.abc import AsyncIterator
from typing import Any, get_args

import msgspec
import pytest
import pytest_asyncio
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.dev_daemon import DevDaemon, dev_daemon
from webhookd.admin.door.asked import names
from webhookd.admin.door.field_texts import field_texts
from webhookd.admin.door.texts import PayerName
from webhookd.admin.endpoint_bodies import EndpointChange, NewEndpoint
from webhookd.config.model import EndpointSettings
from webhookd.core.money import EXPONENTS

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATH = "/api/v1/openapi.json"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevDaemon]:
    async with dev_daemon(tmp_path_factory.mktemp("openapi")) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def described(dev: DevDaemon) -> dict[str, Any]:
    async with dev.session.get(dev.running.admin + PATH) as response:
        assert (response.status, response.content_type) == (200, "application/json")
        found: dict[str, Any] = await response.json()
        return found


def operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, each) for path, item in described["paths"].items() for method, each in item.items()]


async def test_it_is_openapi_3_1(described: dict[str, Any]):
    assert described["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(described).iter_errors()] == []


async def test_every_operation_of_the_contract_is_in_it(described: dict[str, Any]):
    found = {(method.upper(), path) for path, method, _ in operations(described)}
    expected = """
        GET /status, GET /endpoints, POST /endpoints, GET /endpoints/{name}, PATCH /endpoints/{name},
        DELETE /endpoints/{name}, POST /endpoints/{name}/pause, POST /endpoints/{name}/resume,
        POST /endpoints/{name}/ping, POST /endpoints/{name}/rotate-secret, GET /events, POST /events, GET /events/{id},
        GET /events/{id}/body, GET /deliveries, GET /deliveries/{id}, POST /replays, GET /replays, GET /replays/{id},
        GET /payments, GET /payments/{provider}/{id}, GET /refunds, GET /disputes, GET /invoices, GET /payment-links,
        GET /orders, GET /subscriptions, GET /transfers, GET /accounts, GET /fund-accounts, GET /downtimes,
        GET /dead, GET /revenue, POST /cleanup, GET /audit, GET /stream, GET /openapi.json
    """
    for each in expected.split(","):
        method, path = each.split()
        assert (method, f"/api/v1{path}") in found


async def test_no_two_operations_have_one_name(described: dict[str, Any]):
    every = [each["operationId"] for _, _, each in operations(described)]
    assert len(set(every)) == len(every)
    assert all(re.fullmatch(r"[a-z0-9_]+", each) for each in every)


async def test_what_needs_no_token_is_said_and_nothing_else_is_open(dev: DevDaemon, described: dict[str, Any]):
    assert described["security"] == [{"token": []}]
    open_to_all = {path for path, _, each in operations(described) if each.get("security") == []}
    assert open_to_all == {PATH, "/metrics"}
    for path, method, each in operations(described):
        assert ("scope" in each["description"]) == (path not in open_to_all)
        assert ("401" in each["responses"]) == (path not in open_to_all)
        url = dev.running.admin + re.sub(r"\{\w+\}", "x", path)
        async with dev.session.request(method, url) as response:
            assert (response.status == 401) == (path not in open_to_all)


async def test_every_answer_that_is_no_success_is_a_problem(described: dict[str, Any]):
    for _, _, each in operations(described):
        for status, answer in each["responses"].items():
            if status.startswith("2"):
                continue
            problem = described["components"]["responses"][answer["$ref"].rpartition("/")[2]]
            assert list(problem["content"]) == ["application/problem+json"]


async def test_every_list_says_its_bounds_and_that_it_goes_on(described: dict[str, Any]):
    lists = 0
    for _, _, each in operations(described):
        parameters = {parameter["name"]: parameter for parameter in each["parameters"]}
        if "cursor" in parameters:
            lists += 1
            assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}
    assert lists > 15


async def test_what_is_described_takes_no_field_that_is_not(described: dict[str, Any]):
    for _, _, each in operations(described):
        if "requestBody" in each:
            schema = each["requestBody"]["content"]["application/json"]["schema"]
            body = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            assert body["additionalProperties"] is False


async def test_a_field_is_described_in_the_words_of_the_code(described: dict[str, Any]):
    schemas = described["components"]["schemas"]
    assert "wait" not in schemas
    assert schemas["Payment"]["properties"]["settled"]["description"] == "Whether a waiting customer has an answer."
    assert "next_cursor" in schemas["Page_Event_"]["properties"]
    assert schemas["Page_Event_"]["properties"]["next_cursor"]["description"]


async def test_an_endpoint_is_described_with_exactly_the_settings_that_the_configuration_knows():
    known = set(EndpointSettings.__struct_fields__)
    assert {*names(NewEndpoint)} == known - {"old_secrets"} | {"name", "secret_kind"}
    assert {*names(EndpointChange)} == known - {"secret", "old_secrets"}


async def test_the_providers_of_a_filter_are_those_there_are():
    assert set(get_args(PayerName)) == set(EXPONENTS)


async def test_a_struct_whose_source_is_not_there_is_described_without_words():
    made = msgspec.defstruct("Made", [("a", int)])
    assert field_texts(made) == {}
