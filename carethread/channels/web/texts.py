"""The widget's own words: `content/widget.yml`."""

from __future__ import annotations

from carethread.channels.texts import Vocabulary

# What the widget says. A file that lacks one of these, or holds another, is refused.
KEYS = (
    "language_name",
    "launcher",
    "launcher_unread",
    "title",
    "assistant_line",
    "human_line",
    "emergency_line",
    "emergency_now",
    "emergency_call",
    "crisis_now",
    "crisis_call",
    "close",
    "log_label",
    "greeting",
    "starters_label",
    "starter_1",
    "starter_2",
    "starter_3",
    "starter_4",
    "message_label",
    "message_placeholder",
    "send",
    "typing",
    "from_you",
    "from_assistant",
    "from_staff",
    "state_sending",
    "state_waiting",
    "state_sent",
    "state_delivered",
    "state_read",
    "state_failed",
    "retry",
    "discard",
    "offline",
    "back_online",
    "more_below",
    "too_long",
    "choices_label",
    "clear",
    "clear_confirm",
    "clear_yes",
    "clear_no",
)
WIDGET = Vocabulary("the widget", KEYS, own=("count",))
