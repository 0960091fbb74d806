"""What `serve --dev` adds to the configuration: a source for every provider, and the merchant as endpoint `local`."""

import json
import secrets
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from webhookd import private_file
from webhookd.config.model import Config, EndpointSettings, SourceSettings
from webhookd.core.secret import Secret
from webhookd.core.signature import new_secret
from webhookd.providers import PROVIDERS
from webhookd.providers.provider import Credentials
from webhookd.sandbox import paypal_keys

FILE = "dev-secrets.json"
AUTHORITY_FILE = "dev-paypal-authority.pem"
LOCAL = "local"
PAYPAL = "paypal"
LOOPBACK = ("127.0.0.0/8", "::1/128")
"""What --dev opens to endpoints."""


def dev_secrets(data_dir: Path, *, create: bool) -> dict[str, Secret]:
    """The generated secrets by source, and the merchant's as `local`; kept in the data directory, mode 0600.

    Where others have a secret, PayPal has a private key with its certificates.
    """
    path = data_dir / FILE
    kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    missing = [name for name in (*PROVIDERS, LOCAL) if name not in kept]
    if create:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if missing:
            kept |= {name: _new_secret(name) for name in missing}
            private_file.write(path, json.dumps(kept, indent=1).encode())
        private_file.write(data_dir / AUTHORITY_FILE, paypal_keys.authority(kept[PAYPAL]))
    return {name: Secret(text) for name, text in kept.items()}


def dev_credentials(provider: str, secret: Secret) -> Credentials:
    """The credentials of a provider that one generated (or given) secret makes."""
    if provider != PAYPAL:
        return Credentials((secret,))
    text = secret.reveal()
    return Credentials(
        webhook_id=Secret(paypal_keys.webhook_id(text)),
        authorities=paypal_keys.authority(text) or None,
        signing_key=secret,
    )


def with_dev(config: Config, kept: dict[str, Secret], merchant_port: int) -> Config:
    """The configuration (read with LOOPBACK opened) and what --dev adds; what has the same name there stays."""
    sources = {name: SourceSettings(name, (kept[name],)) for name in PROVIDERS}
    sources[PAYPAL] = SourceSettings(
        PAYPAL,
        webhook_id=Secret(paypal_keys.webhook_id(kept[PAYPAL].reveal())),
        authorities=str(config.data_dir / AUTHORITY_FILE),
    )
    local = EndpointSettings(f"http://127.0.0.1:{merchant_port}/", kept[LOCAL])
    return msgspec.structs.replace(
        config, sources=sources | config.sources, endpoints={LOCAL: local} | config.endpoints
    )


def _new_secret(name: str) -> str:
    if name == PAYPAL:
        return paypal_keys.new_signing_key(datetime.now(UTC))
    return new_secret(secrets.token_bytes(32))
