"""SMS and WhatsApp through Twilio: `receive` and `status` take its webhooks, `send` calls its REST API."""

from carethread.channels.twilio.accounts import check_accounts
from carethread.channels.twilio.routes import blueprint
from carethread.channels.twilio.segments import segments
from carethread.channels.twilio.send import TwilioChannel, claimed_in

__all__ = ["TwilioChannel", "blueprint", "check_accounts", "claimed_in", "segments"]
