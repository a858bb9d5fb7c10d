"""The stages of a cleaning, each the work of an engine: what a task reads, and the files that it leaves."""
