"""What a certificate that somebody else made may be met with: the library has no one class for it."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

UNREADABLE = (
    *(ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.ExtensionNotFound),
    *(x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)
"""All that cryptography (50) raises of a certificate it cannot make sense of: some of it when the bytes are read, and
some only when one asks for the part. Found by turning over the bytes of good ones."""
