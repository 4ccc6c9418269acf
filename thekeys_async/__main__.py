"""`python -m thekeys_async` is the command `thekeys`."""

from thekeys_async.cli import main

if __name__ == "__main__":
    main()
