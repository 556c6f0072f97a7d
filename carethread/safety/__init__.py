"""The deterministic safety layer: what a message means for safety, and what may be said in return. Pure.

screening   red flags and crisis language in one message, with context, typos and two languages
language    which language the patient writes in
keywords    STOP, START, HELP
triage      what to ask next about a complaint that is no red flag, and where it belongs
guard       what must not leave
"""
