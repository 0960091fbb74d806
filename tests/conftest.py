"""What holds for every test."""

from hypothesis import HealthCheck, settings

# No deadline and no complaint about slowness: a busy machine must not fail a test.
settings.register_profile("webhookd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("webhookd")
