"""Which items are enabled by the answers so far: FHIR's enableWhen, all operators, any and all."""

from collections.abc import Mapping, Sequence

from carethread.questionnaires.definition import Condition, Questionnaire
from carethread.questionnaires.values import Value, compare

Answers = Mapping[str, Sequence[Value]]


def enabled(questionnaire: Questionnaire, answers: Answers) -> frozenset[str]:
    """The link ids of all enabled items. An item under a disabled one is disabled, and a disabled item's answer
    enables nothing; an item under a question needs that question answered.
    """
    on: set[str] = set()
    for link_id in questionnaire.evaluation_order:
        item, parent = questionnaire.item(link_id), questionnaire.parent(link_id)
        if item is None:
            continue
        if parent is not None and (
            parent.link_id not in on or (parent.is_question and not answers.get(parent.link_id))
        ):
            continue
        outcomes = [
            holds(condition, answers.get(condition.question, ()) if condition.question in on else ())
            for condition in item.conditions
        ]
        if not outcomes or (all(outcomes) if item.all_conditions else any(outcomes)):
            on.add(link_id)
    return frozenset(on)


def holds(condition: Condition, given: Sequence[Value]) -> bool:
    """Whether an enableWhen is fulfilled by what is given for its question."""
    if condition.operator == "exists":
        return bool(given) is bool(condition.answer.value)
    orders = [compare(value, condition.answer) for value in given]
    if condition.operator == "=":
        return 0 in orders
    if condition.operator == "!=":
        return 0 not in orders
    known = [order for order in orders if order is not None]
    if condition.operator == ">":
        return any(order > 0 for order in known)
    if condition.operator == "<":
        return any(order < 0 for order in known)
    if condition.operator == ">=":
        return any(order >= 0 for order in known)
    return any(order <= 0 for order in known)
