"""Run all measurements, one after the other: python -m bench."""

from __future__ import annotations

from bench import connect, first_paint, log_view, unchanged

if __name__ == "__main__":
    connect.main()
    unchanged.main()
    first_paint.main()
    log_view.main()
