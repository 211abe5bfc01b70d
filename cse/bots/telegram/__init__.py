"""The Telegram bot: `cse bot telegram`."""
