"""What runs around a notebook: its page, its explorer, batches of them, the site of their results."""
