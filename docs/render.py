"""Make the tables in docs, and the alerts in docs/operating.md, from the code and from kept figures: `make docs`.

The text is written by hand; what stands between `<!-- made: NAME -->` and `<!-- end -->` is not.
"""

import ast
import importlib
import inspect
import io
import re
import sys
import tokenize
from collections.abc import Iterator, Mapping
from itertools import groupby, pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from bench import told
from webhookd.core.ledger import COUNTING, KINDS, RANKS, SETTLED, TIME_FIRST, Kind
from webhookd.core.money import EXPONENTS
from webhookd.observe.catalogue import CATALOGUE
from webhookd.providers import PROVIDERS

DOCUMENTS = [Path(__file__).with_name(name) for name in ("payments.md", "metrics.md", "operating.md", "scale.md")]
ALERTS = Path(__file__).parents[1] / "monitoring" / "alerts.yml"
FOUND = re.compile(r"\{\{ \$(?:labels\.(\w+)|value)[^}]*\}\}")
METRICS = CATALOGUE.metrics.values()
FEW = 30
"""As many currencies are named one by one."""
BLOCK = re.compile(r"(<!-- made: ([a-z_ ]+) -->\n).*?(?=<!-- end -->)", re.DOTALL)


def rendered(text: str) -> str:
    """The document with its blocks made anew. Raises KeyError for a block that nothing makes."""
    makers = blocks()
    return BLOCK.sub(lambda found: f"{found[1]}\n{makers[found[2]]}\n\n", text)


def blocks() -> dict[str, str]:
    return {
        "kinds": kinds(),
        "settled": ", ".join(f"`{status}`" for status in RANKS["payment"] if status in SETTLED),
        "picture of payment": picture("payment"),
        "picture of refund": picture("refund"),
        "currencies": currencies(),
        **{f"states of {provider}": states(provider) for provider in PROVIDERS},
        "alerts": alerts(),
        **told.blocks(),
        **{f"metrics of {group}": metrics(group) for group in dict.fromkeys(each.group for each in METRICS)},
    }


# --- What core decides


def levels(kind: Kind) -> list[list[str]]:
    """The states, lowest first; those in one list are equally far on."""
    by_rank = sorted(RANKS[kind], key=RANKS[kind].__getitem__)
    return [list(each) for _, each in groupby(by_rank, RANKS[kind].__getitem__)]


def kinds() -> str:
    def shown(kind: Kind, status: str) -> str:
        return f"**`{status}`**" if status in COUNTING.get(kind, ()) else f"`{status}`"

    lines = ["| kind | first | its states, the one furthest on last |", "|---|---|---|"]
    for kind in KINDS:
        steps = " → ".join(" = ".join(shown(kind, status) for status in level) for level in levels(kind))
        lines.append(f"| {kind} | {'time' if kind in TIME_FIRST else 'rank'} | {steps} |")
    return "\n".join(lines)


def picture(kind: Kind) -> str:
    lines = ["```mermaid", "stateDiagram-v2", "    direction LR"]
    lines += [f"    [*] --> {status}" for status in levels(kind)[0]]
    for lower, higher in pairwise(levels(kind)):
        lines += [f"    {one} --> {other}" for one in lower for other in higher]
    for level in levels(kind):
        lines += [f"    {one} --> {other}: later" for one in level for other in level if one != other]
    return "\n".join([*lines, "```"])


def currencies() -> str:
    iso = EXPONENTS["standard"]
    lines = ["| provider | known | no digits | three digits | other than ISO 4217 |", "|---|---|---|---|---|"]
    for provider in PROVIDERS:
        known = EXPONENTS[provider]
        few = f" ({', '.join(sorted(known))})" if len(known) <= FEW else ""
        cells = [
            f"{len(known)}{few}",
            *(", ".join(sorted(code for code in known if known[code] == digits)) for digits in (0, 3)),
            ", ".join(f"{code}: {known[code]}" for code in sorted(known) if known[code] != iso.get(code)),
        ]
        lines.append(f"| {provider} | {' | '.join(each or '–' for each in cells)} |")
    return "\n".join(lines)


def metrics(group: str) -> str:
    lines = ["| metric | labels | what it says |", "|---|---|---|"]
    for each in METRICS:
        if each.group == group:
            labels = ", ".join(f"`{label}`" for label in each.labels) or "–"
            lines.append(f"| `{each.name}` {each.kind} | {labels} | {each.what} |")
    return "\n".join(lines)


def alerts() -> str:
    """A section for each, under the anchor that the alert names as its runbook."""
    rules = [rule for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
    return "\n\n".join(
        f"### {rule['alert']}\n\n**{_plain(rule, 'summary')}** ({rule['labels']['severity']}"
        f"{', for ' + rule['for'] if 'for' in rule else ''})\n\n{_plain(rule, 'description')}\n\n"
        f"```promql\n{rule['expr']}\n```"
        for rule in rules
    )


def _plain(rule: Mapping[str, Any], annotation: str) -> str:
    """With words where Prometheus puts what it found."""
    return FOUND.sub(lambda found: (found[1] or "value").upper(), rule["annotations"][annotation])


# --- What a provider says


def states(provider: str) -> str:
    module = room(provider)
    table: Mapping[Kind, Mapping[str, str]] = module.STATES
    said = notes(module)
    lines = ["| kind | here | the provider's word |", "|---|---|---|"]
    for kind in (each for each in KINDS if each in table):
        first = kind
        for status in (each for level in levels(kind) for each in level):
            words = [word for word, here in table[kind].items() if here == status]
            if words:
                shown = [f"`{word}`" + (f" ({said[kind, word]})" if (kind, word) in said else "") for word in words]
                lines.append(f"| {first} | `{status}` | {', '.join(shown)} |")
                first = ""
    return "\n".join(lines)


def room(provider: str) -> ModuleType:
    """The module in which a provider's STATES are written."""
    for name in ("states", "facts", "reading"):
        try:
            module = importlib.import_module(f"webhookd.providers.{provider}.{name}")
        except ModuleNotFoundError:
            continue
        if "\nSTATES: " in inspect.getsource(module):
            return module
    raise LookupError(f"{provider} has no STATES")


def notes(module: ModuleType) -> dict[tuple[str, str], str]:
    """The comments at the ends of the lines of STATES, by kind and word."""
    source = inspect.getsource(module)
    comments = {
        token.start[0]: token.string.lstrip("# ").replace("|", "\\|")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and not token.line.lstrip().startswith("#")
    }
    return {(kind, word): comments[line] for kind, word, line in entries(source) if line in comments}


def entries(source: str) -> Iterator[tuple[str, str, int]]:
    """Kind, word and line of everything in STATES."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "STATES":
            assert isinstance(node.value, ast.Dict)
            for kind, words in zip(node.value.keys, node.value.values, strict=True):
                assert isinstance(kind, ast.Constant)
                assert isinstance(words, ast.Dict)
                for word in words.keys:
                    assert isinstance(word, ast.Constant)
                    yield kind.value, word.value, word.lineno


if __name__ == "__main__":
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        document.write_text(rendered(text), encoding="utf-8")
    sys.exit()
