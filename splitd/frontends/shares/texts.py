"""All words on the pages of links, in English and in Russian.  Pure."""

from __future__ import annotations

from collections.abc import Iterator

LANGUAGES = ("en", "ru")
"""The languages of the pages; the first one is for those who read none of them."""

_TEXTS = {
    "back": ("Back", "Назад"),
    "download": ("Download", "Скачать"),
    "empty": ("Nothing is here.", "Здесь пусто."),
    "files": ("Files", "Файлы"),
    "more": ("More", "Дальше"),
    "open": ("Open", "Открыть"),
    "password": ("Password", "Пароль"),
    "password-title": ("This link has a password", "Эта ссылка с паролем"),
    "password-wrong": ("The password is wrong.", "Пароль неверен."),
    "refused": ("This did not work", "Не получилось"),
    "refused-400": (
        "No file can have this name, or what was sent cannot be read.",
        "У файла не может быть такого имени, или присланное не удаётся прочитать.",
    ),
    "refused-404": (
        "There is no such link, or nothing of this name in it. It may have ended, or been taken back.",
        "Такой ссылки нет, или в ней нет ничего с таким именем. Возможно, срок истёк или её отозвали.",
    ),
    "refused-410": (
        "This link has been used as often as it may be.",
        "Ссылкой воспользовались столько раз, сколько разрешено.",
    ),
    "refused-413": ("This is too large.", "Слишком большой размер."),
    "refused-423": ("It is locked now. Try again later.", "Сейчас заблокировано. Попробуйте позже."),
    "refused-429": (
        "Too many passwords were wrong. Try again later.",
        "Слишком много неверных паролей. Попробуйте позже.",
    ),
    "refused-507": ("There is no room for it.", "Для этого нет места."),
    "refused-other": ("That is not possible now.", "Сейчас это невозможно."),
    "send": ("Send", "Отправить"),
    "send-hint": (
        "What is there already is not shown, nor is what you send.",
        "Ни прежние файлы, ни те, что вы отправите, здесь не видны.",
    ),
    "send-title": ("Send files", "Отправить файлы"),
    "stored": ("{0} files were stored.", "Сохранено файлов: {0}."),
    "stored-one": ("1 file was stored.", "Сохранён 1 файл."),
    "untitled": ("files", "файлы"),
    "zip": ("Download all as a ZIP archive", "Скачать всё архивом ZIP"),
}


class Texts:
    """The words of one language.

    :param language: one of `LANGUAGES`.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self._at = LANGUAGES.index(language)

    def __call__(self, name: str, *values: object) -> str:
        """Return a text with values in it."""
        return _TEXTS[name][self._at].format(*values)

    def refusal(self, status: int) -> str:
        """Return what is said about a request that is answered with a status."""
        name = f"refused-{status}"
        return self(name if name in _TEXTS else "refused-other")


def language_of(accepted: str) -> str:
    """Return the language of the pages that somebody reads best.

    :param accepted: the value of `Accept-Language` (RFC 9110 section 12.5.4); empty for none.
    """
    best, found = 0.0, LANGUAGES[0]
    for language, weight in _weights(accepted):
        if weight > best:
            best, found = weight, language
    return found


def _weights(accepted: str) -> Iterator[tuple[str, float]]:
    for each in accepted.lower().split(","):
        tag, _, parameter = each.partition(";")
        language = tag.strip().partition("-")[0]
        name, _, value = parameter.partition("=")
        try:
            weight = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            continue
        if language in LANGUAGES:
            yield language, weight
