"""Talks to the engine, and turns content keys into the words a patient reads."""
