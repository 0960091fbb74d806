"""What it takes to try webhookd alone: a merchant, sample events, and a sender that signs as the provider does."""
