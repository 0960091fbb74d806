"""The `webhookd` command, which is the same as `python -m webhookd`."""

import sys

from webhookd.cli import plain


def main() -> None:
    given = plain.read(sys.argv[1:])
    if given is not None:
        plain.serve(given)
    else:
        from webhookd.cli.app import main  # noqa: PLC0415 - see `plain`

        main()


if __name__ == "__main__":
    main()
