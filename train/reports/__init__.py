"""Pictures and pages, from the files of a workdir alone."""
