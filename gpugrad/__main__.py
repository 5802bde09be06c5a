"""Run the command as ``python -m gpugrad``."""

import sys

from gpugrad._cli.main import main

sys.exit(main())
