"""`python -m moiety` is the command line."""

from moiety.cli import app

if __name__ == "__main__":
    app()
