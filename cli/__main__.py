"""`python -m cli` is the command `emotivoice`."""

from cli.main import main

if __name__ == "__main__":
    main()
