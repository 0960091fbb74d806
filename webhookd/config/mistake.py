"""What a configuration that cannot be used is answered with."""


class ConfigError(Exception):
    """The configuration cannot be used. `mistakes` holds one line for each reason."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes
