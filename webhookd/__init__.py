"""webhookd: a payment-webhook gateway in one process."""

__version__ = "0.1.0"
