"""Which settings hold from start to stop, whatever a reload reads."""

from webhookd.config.model import Config


def fixed_at_start(config: Config) -> dict[str, object]:
    """The settings that a reload cannot change."""
    server, delivery = config.server, config.delivery
    return {
        "server.listen": server.listen,
        "server.admin_listen": server.admin_listen,
        "server.data_dir": server.data_dir,
        "server.max_body": server.max_body,
        "server.admin_hosts": server.admin_hosts,
        "server.role": server.role,
        "store.url": config.store.url.url,
        "store.checkpoint": config.store.checkpoint,
        "store.key": (config.store.key, config.store.old_keys),
        "tracing": config.tracing,
        "delivery.max_in_flight": delivery.max_in_flight,
        "delivery.allow_networks": delivery.allow_networks,
        "delivery.proxy": delivery.proxy,
    }
