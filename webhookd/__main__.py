"""`python -m webhookd` is the same as the `webhookd` command."""

from webhookd.cli.app import main

if __name__ == "__main__":
    main()
