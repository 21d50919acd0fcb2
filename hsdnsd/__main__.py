"""python -m hsdnsd"""

from hsdnsd.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
