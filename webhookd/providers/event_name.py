"""Event names such as `payment.dispute.won`: what they are about, and what they say of it."""

from collections.abc import Container


def split(name: str, subjects: Container[str]) -> tuple[str | None, str]:
    """The longest beginning, of whole words, that is among the subjects; and the rest. (None, name) without one."""
    subject = name
    while subject:
        if subject in subjects:
            return subject, name[len(subject) + 1 :]
        subject = subject.rpartition(".")[0]
    return None, name
