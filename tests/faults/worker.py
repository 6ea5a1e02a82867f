"""The real worker with holds in it: `python -m tests.faults.worker`."""

from worker.__main__ import main


def hold() -> None:
    from tests.faults.holding import install  # imports metrics, whose folder `main` has just made

    install()


if __name__ == "__main__":
    main(hold)
