"""`POST /api/v1/reload`: the configuration read again, as on SIGHUP, and answered once it holds."""

from collections.abc import Awaitable, Callable

from webhookd.admin.door.operation import Asked, Nothing, Operation
from webhookd.admin.reloaded import Reloaded


class ReloadApi:
    def __init__(self, reload: Callable[[], Awaitable[Reloaded]]) -> None:
        """`reload` raises MistakesError, ConflictError, BusyError; then all stays as it is, unless its message says."""
        self._reload = reload

    def operations(self) -> list[Operation]:
        return [
            Operation(
                "POST",
                "/api/v1/reload",
                self.reload,
                "Read the configuration again",
                Reloaded,
                scope="admin",
                action="configuration.reload",
                problems=(409,),
                detail="As on SIGHUP: all of it holds once this is answered, or nothing and every mistake is told.",
            )
        ]

    async def reload(self, _asked: Asked[Nothing, Nothing]) -> Reloaded:
        return await self._reload()
