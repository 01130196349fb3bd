# SPDX-License-Identifier: MIT
"""C source as tokens: what a file declares, and giving its names others.

Knows as much of C as the sources of lib/ need: no K&R definitions, braces that
balance whichever branch of an #if is taken, no function in capitals."""
import re

TOKEN = re.compile(
    r"(?P<space>[ \t\r\f\v]+|\\\n)|(?P<line>\n)|(?P<comment>//[^\n]*|/\*.*?\*/)"
    r"|(?P<string>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)"
    r"|(?P<mark>\.\.\.|->|##|.)", re.DOTALL)
GROUPS = {"(": ")", "[": "]", "{": "}"}
RECORDS = ("struct", "union")
TAGGED = (*RECORDS, "enum")
# Directives whose words are not of the program.
FOREIGN = ("include", "pragma", "error")


def tokens_of(text):
    """(kind, text) of each token; all of them together are the text."""
    return [(m.lastgroup, m[0]) for m in TOKEN.finditer(text)]


def code(tokens):
    """The places of tokens that are neither space, comment nor directive."""
    places, directive, fresh = [], False, True
    for i, (kind, text) in enumerate(tokens):
        if kind == "line":
            directive, fresh = False, True
        elif kind in ("space", "comment"):
            continue
        elif text == "#" and fresh:
            directive, fresh = True, False
        else:
            fresh = False
            if not directive:
                places.append(i)
    return places


def items(tokens):
    """Declarations and definitions at file level, each a list of places."""
    item, depth, is_function = [], 0, False
    for i in code(tokens):
        text = tokens[i][1]
        if text == "{" and depth == 0:
            is_function = bool(item) and tokens[item[-1]][1] == ")"
        item.append(i)
        depth += (text in GROUPS) - (text in GROUPS.values())
        if depth == 0 and (text == ";" or text == "}" and is_function):
            yield item
            item, is_function = [], False


def group_end(words, start):
    """Where the group ends that opens at words[start]."""
    depth = 0
    for i in range(start, len(words)):
        depth += (words[i] in GROUPS) - (words[i] in GROUPS.values())
        if depth == 0:
            return i
    raise ValueError(f"{words[start]} is not closed")


def is_name(word):
    return re.fullmatch(r"[A-Za-z_]\w*", word) is not None


def attribute(word):
    """Whether word(...) belongs to no declarator: __attribute__, MACRO."""
    return word.startswith("_") or word.isupper()


def declarators(words):
    """The names that an item declares at its top level, but for tags."""
    names, i = [], 0
    while i < len(words):
        word, after = words[i], words[i + 1] if i + 1 < len(words) else ""
        if word == "=":  # over the initializer
            while i < len(words) and words[i] not in (",", ";"):
                i = group_end(words, i) + 1 if words[i] in GROUPS else i + 1
            continue
        if is_name(word) and after == "(" and not attribute(word):
            inner = words[i + 2:i + 4]
            if inner[:1] == ["*"]:  # void (*name)(...)
                return names + [inner[1]]
            return names + [word]
        if is_name(word) and (after in ("=", "[", ",", ";") or (
                words[0] == "typedef" and after == "__attribute__")):
            if i == 0 or words[i - 1] not in TAGGED:
                names.append(word)
        i = group_end(words, i) + 1 if word in GROUPS else i + 1
    return names


def enumerators(words):
    """The constants of all enums in an item."""
    found = []
    for i, word in enumerate(words):
        if word != "enum":
            continue
        start = i + 1 if words[i + 1] == "{" else i + 2
        if start < len(words) and words[start] == "{":
            body = words[start:group_end(words, start)]
            found += [w for before, w in zip(body, body[1:])
                      if before in "{," and is_name(w)]
    return found


def defined_tags(words):
    return [words[i + 1] for i, w in enumerate(words[:-2])
            if w in TAGGED and words[i + 2] == "{"]


def mentioned_tags(tokens):
    words = [tokens[i][1] for i in code(tokens)]
    return {b for a, b in zip(words, words[1:]) if a in TAGGED and is_name(b)}


def macros(tokens):
    """{name: body tokens} of all that the text defines."""
    text = "".join(t for kind, t in tokens if kind != "comment")
    return {m[1]: m[2] for m in re.finditer(
        r"^[ \t]*#[ \t]*define[ \t]+(\w+)((?:\\\n|[^\n])*)", text, re.M)}


def declared(tokens):
    """{name: kind} of a file: "tag", "type", "constant" or "thing"; a name
    that is a tag too has kind and "tag"."""
    names, tags = {}, set()
    for item in items(tokens):
        words = [tokens[i][1] for i in item]
        tags.update(defined_tags(words))
        names.update(dict.fromkeys(enumerators(words), "constant"))
        kind = "type" if words[0] == "typedef" else "thing"
        names.update(dict.fromkeys(declarators(words), kind))
    return names, tags


def stringizers(bodies):
    """Macros that make text of an argument, or find members by it."""
    return {name for name, body in bodies.items()
            if re.search(r"(?<!#)#\s*\w|\boffsetof\b", body)} | {"offsetof"}


class Place:
    """Where a token stands: what decides whether it may be renamed."""

    def __init__(self, keep):
        self.keep = keep  # macros whose arguments are left alone
        self.before = ""
        self.record = False  # behind "struct" or "struct tag"
        self.groups = [(False, False)]  # in a record's body, left alone
        self.outside = None  # the groups around a directive
        self.foreign = False

    def line_ends(self):
        if self.outside is not None:
            self.groups, self.outside = self.outside, None
        self.before, self.foreign = "\n", False

    def step(self, word):
        in_record, alone = self.groups[-1]
        if word == "#" and self.before in ("", "\n"):
            self.outside = list(self.groups)
        elif self.before == "#" and word in FOREIGN:
            self.foreign = True
        elif word in ("(", "["):
            self.groups.append((in_record and word == "(", alone or (
                word == "(" and self.before in self.keep)))
        elif word == "{":
            self.groups.append((self.record, alone))
        elif word in GROUPS.values() and len(self.groups) > 1:
            self.groups.pop()
        self.record = word in RECORDS or (
            self.before in RECORDS and is_name(word))
        self.before = word

    def is_member(self):
        return self.before in (".", "->") or self.groups[-1][0]

    def fixed(self):
        return self.foreign or self.groups[-1][1] or (
            self.before in (".", "->", "#"))


def renamed(tokens, names, tags, suffix):
    """The tokens with a suffix to all `names` {name: kind} and `tags`."""
    out = []
    place = Place(stringizers(macros(tokens)))
    for kind, word in tokens:
        new = word
        if kind == "line":
            place.line_ends()
        elif kind not in ("space", "comment"):
            if kind == "name" and not place.fixed():
                if place.before in TAGGED:
                    new += suffix if word in tags else ""
                elif word in names and not (
                        names[word] == "thing" and place.is_member()):
                    new += suffix
            place.step(word)
        out.append((kind, new))
    return out
