"""What `serve --dev` adds to the configuration: a source for every provider, and the merchant as endpoint `local`."""

import json
import os
import secrets
from pathlib import Path

import msgspec

from webhookd.config.model import Config, EndpointSettings, SourceSettings
from webhookd.core.secret import Secret
from webhookd.core.signature import new_secret
from webhookd.providers import PROVIDERS
from webhookd.providers.provider import Credentials

FILE = "dev-secrets.json"
LOCAL = "local"
LOOPBACK = ("127.0.0.0/8", "::1/128")


def dev_secrets(data_dir: Path, *, create: bool) -> dict[str, Secret]:
    """The generated secrets by source, and the merchant's as `local`; kept in the data directory, mode 0600."""
    path = data_dir / FILE
    kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    missing = [name for name in (*PROVIDERS, LOCAL) if name not in kept]
    if create and missing:
        kept |= {name: new_secret(secrets.token_bytes(32)) for name in missing}
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(kept, file, indent=1)
        draft.rename(path)
    return {name: Secret(text) for name, text in kept.items()}


def dev_credentials(provider: str, secret: Secret) -> Credentials:
    """The credentials of a provider that one generated (or given) secret makes."""
    del provider
    return Credentials((secret,))


def with_dev(config: Config, kept: dict[str, Secret], merchant_port: int) -> Config:
    """The configuration with what --dev adds; what is configured under the same names stays as it is."""
    sources = {name: SourceSettings(name, (kept[name],)) for name in PROVIDERS} | config.sources
    local = EndpointSettings(f"http://127.0.0.1:{merchant_port}/", kept[LOCAL])
    delivery = msgspec.structs.replace(config.delivery, allow_networks=(*config.delivery.allow_networks, *LOOPBACK))
    return msgspec.structs.replace(
        config, sources=sources, endpoints={LOCAL: local} | config.endpoints, delivery=delivery
    )
