"""Lets ``python -m moorage`` do what the command ``moorage`` does."""

import sys

from moorage.cli.main import main

sys.exit(main())
