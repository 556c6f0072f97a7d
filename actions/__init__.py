"""Rasa's custom actions. Each reads the tracker, calls `carethread.conversations`, and says content keys."""
