"""Carethread's conversation engine: Rasa, with NLU components, channel, store and turns of our own."""
