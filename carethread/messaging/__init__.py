"""Inbox, outbox, conversations, consent, quiet hours: the guarantees about messages."""
