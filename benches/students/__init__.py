"""Every algorithm of the catalogue on students that are cheap to teach."""
