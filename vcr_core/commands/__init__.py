"""The command line, a file a room: each registers its commands with the application."""
