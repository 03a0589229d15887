"""``python -m vcr_core`` is ``vcr-lab``."""

from vcr_core.cli import main

if __name__ == "__main__":
    main()
