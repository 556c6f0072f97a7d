"""What patients may wish at any time, by Rasa intent: questions by the way, and other tasks."""

from __future__ import annotations

# Questions for a clinician: the answer says so, and a nurse hears of it.
BOUNDARIES = frozenset(
    {"ask_dosing", "ask_diagnosis", "ask_test_results", "ask_prognosis", "medication_question", "medication_refill"}
)
# Questions by the way, answered inside any form by `utter_<intent>`.
ASIDES = BOUNDARIES | {
    "faq_hours", "faq_location", "faq_parking", "faq_insurance", "faq_billing", "faq_phone", "faq_records",
    "faq_first_visit", "ask_capabilities", "bot_challenge", "privacy", "help", "change_language", "small_talk",
    "repeat",
}  # fmt: skip

# Another task that a patient may turn to in the middle of a form.
TASKS = {
    "book_appointment": "book_form",
    "list_appointments": "appointments_form",
    "appointment_preparation": "appointments_form",
    "video_link": "appointments_form",
    "confirm_appointment": "confirm_form",
    "reschedule_appointment": "reschedule_form",
    "cancel_appointment": "cancel_form",
    "report_symptom": "symptom_form",
}
