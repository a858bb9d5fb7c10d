"""What evaluated rows show beyond single numbers, which inputs they were, and how both are kept for the report."""
