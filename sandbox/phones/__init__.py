"""A phone simulator: speaks Twilio's wire format, so that the demo and tests need no phone and no account."""
