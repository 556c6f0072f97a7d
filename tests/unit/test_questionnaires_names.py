"""Names as people introduce themselves."""

import pytest

from carethread.questionnaires.readings import read_person_name

SURE_NAMES = [
    ("en", "my name is Maria Lopez", "Maria Lopez"),
    ("en", "Maria Lopez here", "Maria Lopez"),
    ("en", "it's maria lopez", "Maria Lopez"),
    ("en", "Maria Lopez", "Maria Lopez"),
    ("en", "JOSE PEREZ", "Jose Perez"),
    ("en", "Lopez, Maria", "Maria Lopez"),
    ("en", "I'm Bill Smith", "Bill Smith"),
    ("en", "call me Sam", "Sam"),
    ("en", "hi its john o'brien 3/14/62", "John O'Brien"),
    ("en", "maria lopez dob 3/14/62", "Maria Lopez"),
    ("en", "Maria Lopez, 3/14/1962", "Maria Lopez"),
    ("en", "name: Ana Garcia-Ruiz dob 1/2/80", "Ana Garcia-Ruiz"),
    ("en", "my name is maria lopez and i need an appointment", "Maria Lopez"),
    ("en", "This is Dr. Juan de la Cruz", "Juan de la Cruz"),
    ("en", "good morning, this is William J. Carter", "William J Carter"),
    ("en", "yes this is Anna Kim", "Anna Kim"),
    ("en", "maria lopez is my name", "Maria Lopez"),
    ("en", "Clara Reyes", "Clara Reyes"),
    ("es", "soy José Pérez", "José Pérez"),
    ("es", "me llamo maria lopez", "Maria Lopez"),
    ("es", "mi nombre es Ana", "Ana"),
    ("es", "habla Rosa Díaz", "Rosa Díaz"),
    ("es", "José Pérez", "José Pérez"),
    ("es", "Ana Sofía de los Ríos", "Ana Sofía de los Ríos"),
    ("es", "hola soy juan perez gomez, naci el 3 de mayo del 58", "Juan Perez Gomez"),
    ("es", "hola buenas tardes, mi nombre es LUIS MENDOZA", "Luis Mendoza"),
    ("es", "le escribe Pedro Ruiz", "Pedro Ruiz"),
]

ONLY_WHEN_ASKED = [
    ("en", "maria lopez", "Maria Lopez"),
    ("es", "rosa diaz", "Rosa Diaz"),
    ("en", "Maria 3/14/62", "Maria"),
]

NO_NAME = [
    ("en", ""),
    ("en", "im fine"),
    ("en", "i am in pain"),
    ("en", "this is Maria's daughter"),
    ("en", "hello"),
    ("en", "thanks"),
    ("en", "i want to book"),
    ("en", "I have a cough"),
    ("en", "cancel please"),
    ("en", "chest hurts"),
    ("en", "3/14/1962"),
    ("es", "soy la hija de Rosa"),
    ("es", "soy yo"),
    ("es", "estoy mal"),
    ("es", "me duele la cabeza"),
    ("es", "no"),
]


@pytest.mark.parametrize(("language", "text", "name"), SURE_NAMES)
def test_reads_the_name(language: str, text: str, name: str) -> None:
    reading = read_person_name(text, language)
    assert reading is not None
    assert (reading.value, reading.sure) == (name, True)


@pytest.mark.parametrize(("language", "text", "name"), ONLY_WHEN_ASKED)
def test_bare_words_are_a_name_only_to_whoever_asked(language: str, text: str, name: str) -> None:
    reading = read_person_name(text, language)
    assert reading is not None
    assert (reading.value, reading.sure) == (name, False)
    assert reading.confidence >= 0.5


@pytest.mark.parametrize(("language", "text"), NO_NAME)
def test_words_that_are_no_name(language: str, text: str) -> None:
    reading = read_person_name(text, language)
    assert reading is None or reading.confidence < 0.5
