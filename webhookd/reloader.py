"""Has the configuration read again, one time after the other; each holds as a whole or not at all."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from webhookd.admin.door.reasons import BusyError, ConflictError, Mistake, MistakesError
from webhookd.admin.reloaded import Changed, Reloaded
from webhookd.aside import aside
from webhookd.clock import Clock
from webhookd.config.fixed import fixed_at_start
from webhookd.config.mistake import ConfigError
from webhookd.config.model import Config
from webhookd.observe.sd_notify import notify
from webhookd.outbound import Providers, providers_of
from webhookd.store.protocol.errors import StoreError

ANSWER_S_MAX = 20.0
"""Who asks through the API is answered by then: a disk may hang for longer, and the client would not wait for it."""
_log = structlog.get_logger("webhookd.daemon")


class Reloader:
    """`load` reads the configuration and `apply` has it hold, or raises and leaves all as it is."""

    def __init__(
        self,
        config: Config,
        load: Callable[[], Config],
        apply: Callable[[Config, Providers], Awaitable[None]],
        clock: Clock,
        unready: Callable[[], str | None],
    ) -> None:
        self._config = config
        self._load = load
        self._apply = apply
        self._clock = clock
        self._unready = unready
        self._fixed = fixed_at_start(config)
        self._under_way: asyncio.Task[Reloaded] | None = None
        self._asked_again = False

    def on_signal(self) -> None:
        """SIGHUP. During another one it is remembered: the file may have changed since that one read it."""
        if self._under_way is not None:
            self._asked_again = True
        elif self._unready() is None:
            self._begin()

    async def reload(self) -> Reloaded:
        """For the API. Raises MistakesError, ConflictError, BusyError: see `ReloadApi`."""
        if (why := self._unready()) is not None:
            raise BusyError(why)
        if self._under_way is not None:
            raise ConflictError("The configuration is being read again already; ask once that is done.")
        running = self._begin()
        done, _ = await asyncio.wait([running], timeout=ANSWER_S_MAX)
        if not done:
            raise BusyError("The reload is not through yet; it goes on, and the log says how it ends.")
        return running.result()

    def close(self) -> None:
        """Begin no more, and wait for none."""
        self._asked_again = False
        if self._under_way is not None:
            self._under_way.cancel()

    def _begin(self) -> asyncio.Task[Reloaded]:
        self._under_way = asyncio.create_task(self._run(), name="reload")
        self._under_way.add_done_callback(self._ended)
        return self._under_way

    def _ended(self, task: "asyncio.Task[Reloaded]") -> None:
        self._under_way = None
        if not task.cancelled():
            task.exception()  # it has been logged, and is told to who waits
        if self._asked_again:
            self._asked_again = False
            self.on_signal()

    async def _run(self) -> Reloaded:
        notify("RELOADING=1", f"MONOTONIC_USEC={round(self._clock.monotonic() * 1_000_000)}")
        try:
            config, providers = await aside(self._read)
            await self._apply(config, providers)
        except ConfigError as error:
            _log.error("reload_refused", mistakes=error.mistakes)
            raise MistakesError([Mistake("configuration", each) for each in error.mistakes]) from None
        except MistakesError as error:
            _log.error("reload_refused", mistakes=[f"{each.field}: {each.reason}" for each in error.mistakes])
            raise
        except StoreError as error:
            _log.error("reload_failed", kind=type(error).__name__, reason=str(error)[:200])
            raise BusyError("The store cannot be written now; all is as it was.") from None
        except Exception as error:
            _log.error("reload_failed", kind=type(error).__name__)
            raise
        finally:
            notify("READY=1")
        return self._reloaded(config)

    def _read(self) -> tuple[Config, Providers]:
        """On a thread of its own: secrets, certificates and the file may be on a disk that hangs."""
        config = self._load()
        return config, providers_of(config)

    def _reloaded(self, config: Config) -> Reloaded:
        before, self._config = self._config, config
        fixed = fixed_at_start(config)
        restart_needed = sorted(name for name in fixed if fixed[name] != self._fixed[name])
        _log.info("reloaded", sources=len(config.sources), endpoints=len(config.endpoints))
        if restart_needed:
            _log.warning("restart_needed", why="these settings are only read at start", settings=restart_needed)
        return Reloaded(
            _changed(before.sources, config.sources), _changed(_specs(before), _specs(config)), restart_needed
        )


def _specs(config: Config) -> Mapping[str, object]:
    return {spec.name: spec for spec in config.endpoint_specs()}


def _changed(before: Mapping[str, object], now: Mapping[str, object]) -> Changed:
    return Changed(
        total=len(now),
        added=sorted(now.keys() - before.keys()),
        removed=sorted(before.keys() - now.keys()),
        changed=sorted(name for name in before.keys() & now.keys() if before[name] != now[name]),
    )
