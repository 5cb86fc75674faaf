"""Run all benchmarks, one after the other: python -m bench."""

from __future__ import annotations

from bench import (
    connect,
    first_paint,
    growth,
    images,
    images_screen,
    log_view,
    logins,
    slow_pulls,
    sockets,
    unchanged,
    users_change,
)
from bench import help as help_

if __name__ == "__main__":
    connect.main()
    unchanged.main()
    logins.main()
    users_change.main()
    help_.main()
    first_paint.main()
    log_view.main()
    images_screen.main()
    growth.main()
    images.main()
    sockets.main()
    slow_pulls.main()
