"""What TLS to an endpoint is made with: at least 1.2, the host's name checked, and the system's roots unless told."""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from webhookd.core.endpoint import ClientTls
from webhookd.core.secret import Secret


def tls_context(tls: ClientTls | None) -> ssl.SSLContext:
    """Raises ssl.SSLError, ValueError for what is no PEM, or a key that does not fit the certificate."""
    given = tls or ClientTls()
    # With certificates given, the system's are not loaded.
    context = ssl.create_default_context(cadata=None if given.ca is None else given.ca.decode("ascii"))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if given.certificate is not None:
        present(context, given.certificate, given.key)
    return context


def present(context: ssl.SSLContext, certificate: bytes, key: Secret | None) -> None:
    """Whoever asks is shown this certificate. Raises ssl.SSLError, ValueError."""
    with _file(certificate + b"\n" + (b"" if key is None else key.reveal().encode())) as path:
        context.load_cert_chain(path, password=lambda: b"")  # never ask the terminal


@contextmanager
def _file(content: bytes) -> Iterator[Path]:
    """OpenSSL reads a private key from a file only. Where there is one without a disk, it is that."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("webhookd-key"), "wb") as file:
            file.write(content)
            file.flush()
            yield Path(f"/proc/self/fd/{file.fileno()}")
    else:
        with tempfile.NamedTemporaryFile() as file:  # readable by its owner only
            file.write(content)
            file.flush()
            yield Path(file.name)
