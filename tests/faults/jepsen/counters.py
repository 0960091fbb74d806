"""I15: what the daemons counted of their last lives, against what the others saw of them and what is in the log."""

from collections import Counter

from prometheus_client.parser import text_string_to_metric_families

from tests.faults.jepsen.world import World


async def disagreements(world: World) -> list[str]:
    """To be asked when no line is bad, nothing is pending and nothing new comes."""
    counted = Counter[tuple[str, str]]()
    for node in world.nodes:
        text = await node.asked("GET", "/metrics")
        node.look_for_secrets("metrics", world.secrets(node), text)
        counted += _counted(text)
    began_at = min(node.began_at for node in world.nodes)
    taken = sum(world.merchants.taken_in_life[node.life] for node in world.nodes)
    said = Counter[str]()
    lost = 0
    for word, status, times in world.history.rows(
        "SELECT word, status, count(*) FROM answer WHERE at > ? GROUP BY word, status", began_at
    ):
        said[word] += times
        lost += times * (status == 0)
    found = []
    for word in ("accepted", "duplicate"):
        hooks = counted["hooks", word]
        if not said[word] <= hooks <= said[word] + lost:
            found.append(f"{hooks} hooks were counted as {word}; the provider was told so {said[word]} times")
    delivered, attempts = counted["deliveries", "delivered"], counted["attempts", "succeeded"]
    unheard = sum(times for (what, word), times in counted.items() if what == "attempts" and word not in HEARD)
    if delivered != attempts:
        found.append(f"{delivered} deliveries were counted as delivered, and {attempts} attempts as succeeded")
    if not delivered <= taken <= delivered + unheard:
        found.append(f"{delivered} were counted as delivered, merchants took {taken}")
    return found


HEARD = ("succeeded", "status")
"""Results of attempts that were answered."""


def _counted(text: str) -> Counter[tuple[str, str]]:
    """By what is counted, and its result or state; all sources and endpoints together."""
    counted = Counter[tuple[str, str]]()
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            for what in ("hooks", "attempts", "deliveries"):
                if each.name == f"webhookd_{what}_total":
                    counted[what, each.labels.get("result") or each.labels["state"]] += int(each.value)
    return counted
