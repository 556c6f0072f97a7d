"""What the assistant does in a conversation, step by step; `actions/` hands each turn of a Rasa form to it."""
