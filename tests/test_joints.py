"""What the daemon hands between rooms: what a client asked for, and where an endpoint's name leads."""

import asyncio
from ipaddress import ip_network

import pytest

from tests.making import spec
from webhookd.admin.door.reasons import Mistake, MistakesError
from webhookd.config import Config
from webhookd.core.proxy import Proxy
from webhookd.deliver.guard import Guard
from webhookd.deliver.resolve import AddrInfo, Resolver
from webhookd.outbound import reader, scout

PUBLIC, PRIVATE, METADATA = "93.184.216.34", "10.0.0.5", "169.254.169.254"


def leading_to(*addresses: str) -> Resolver:
    """A name server that knows one answer to every question; without any, it knows none."""

    def look_up(_host: str, port: int) -> list[AddrInfo]:
        if not addresses:
            raise OSError("no such name")
        return [(2 if "." in address else 10, 1, 6, "", (address, port)) for address in addresses]

    return Resolver(look_up)


@pytest.mark.parametrize("name", ["a: b", "", ": "])
def test_a_mistake_is_under_the_fields_own_name_however_odd_that_is(name: str):
    with pytest.raises(MistakesError) as refused:
        reader(Config())("shop", {"url": "https://shop.example/", name: 1})
    assert refused.value.mistakes == [Mistake(name, "is not a setting")]


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        ([PUBLIC], None),
        ([PRIVATE], "private or reserved"),
        ([METADATA], "metadata"),
        (["127.0.0.1"], "private or reserved"),
        (["::1"], "private or reserved"),
        (["::ffff:10.0.0.5"], "private or reserved"),
        (["fe80::1%2"], "metadata"),
        ([PUBLIC, PRIVATE], "private or reserved"),
        ([PRIVATE, PUBLIC], "private or reserved"),
        (["172.16.5.5"], None),
        ([], None),
    ],
)
async def test_a_name_is_judged_by_every_address_it_leads_to(addresses: list[str], reason: str | None):
    look = scout(leading_to(*addresses), Guard([ip_network("172.16.0.0/12")]), None)
    said = await look(spec(url="https://shop.example/hooks"))
    assert said is None if reason is None else said is not None and reason in said


async def test_http_without_leave_is_for_names_that_lead_into_opened_networks():
    look = scout(leading_to(PUBLIC), Guard([ip_network("172.16.0.0/12")]), None)
    said = await look(spec(url="http://shop.example/"))
    assert said is not None
    assert "allow_http" in said
    assert await look(spec(url="http://shop.example/", allow_http=True)) is None
    inside = scout(leading_to("172.16.5.5"), Guard([ip_network("172.16.0.0/12")]), None)
    assert await inside(spec(url="http://shop.example/")) is None


async def test_a_listener_of_its_own_is_known_by_address_and_port():
    guard = Guard([ip_network("127.0.0.0/8")])
    guard.own_ports = frozenset({8443})
    look = scout(leading_to("127.0.0.1"), guard, None)
    said = await look(spec(url="https://shop.example:8443/"))
    assert said is not None
    assert "webhookd's own" in said
    assert await look(spec(url="https://shop.example:8444/")) is None


async def test_a_proxy_looks_names_up_itself():
    look = scout(leading_to(METADATA), Guard(), Proxy("proxy.example", 4750))
    assert await look(spec(url="https://shop.example/")) is None


async def test_a_name_server_that_says_nothing_holds_up_nobody_else():
    """The look waits on a thread, and the loop goes on meanwhile."""
    asked, answer = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def look_up(_host: str, port: int) -> list[AddrInfo]:
        loop.call_soon_threadsafe(asked.set)
        asyncio.run_coroutine_threadsafe(answer.wait(), loop).result()
        return [(2, 1, 6, "", (PRIVATE, port))]

    looking = asyncio.create_task(scout(Resolver(look_up), Guard(), None)(spec(url="https://slow.example/")))
    await asked.wait()
    assert not looking.done()
    answer.set()
    assert await looking is not None
