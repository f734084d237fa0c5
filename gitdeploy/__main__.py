"""``python3 -m gitdeploy`` is the command ``gitdeploy``."""

import sys

from .cli import main

sys.exit(main())
