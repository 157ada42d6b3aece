"""A run as one HTML file that needs nothing else: figures, settings, labels and tasks."""

from curricle.report.page import Written, write_report

__all__ = ["Written", "write_report"]
