"""What a visitor sees before the first run: what it is about, three experiments, what will come."""

from app.welcome.welcome import hero, welcome

__all__ = ["hero", "welcome"]
