"""What it means when PostgreSQL's driver raises: the connection is lost, or it may go another time; and its words."""

import asyncpg

LOST = (
    *(asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.OperatorInterventionError, OSError),
    asyncpg.InternalClientError,  # so asyncpg finds that the server has said goodbye between two statements
)
"""What says that the connection is of no use any more; one that took too long is among them, and is told apart."""
LATER = (
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.PostgresSystemError,
    asyncpg.PostgresIOError,
    asyncpg.InternalServerError,
)
"""What may go another time, on the same connection."""
WORDS_CHARS_MAX = 200


def in_its_words(error: BaseException) -> str:
    """What PostgreSQL, or the way to it, says: the first line, without what it quotes of the rows."""
    text = str(error).partition("\n")[0] or type(error).__name__
    return text if len(text) <= WORDS_CHARS_MAX else f"{text[:WORDS_CHARS_MAX]} …"
