"""A small YAML document read strictly, so that whoever wrote it is told of every mistake at once, each with its line.

What a document may say is a mapping of keys to kinds (see buildless.kinds). Nothing is ever constructed from tags, and
aliases are refused, so a document takes no more memory than its text.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import Any, Callable, Collection, Iterator, Mapping, NamedTuple

import yaml

from .errors import DocumentError
from .shape import Kind, Shaped, keys, names
from .values import quoted

MAX_BYTES = 65_536
"""The largest document that is read; written by people, they have one or two thousand bytes."""

MAX_PROBLEMS = 40
"""So many are listed; who has more has one that makes them all."""

Check = Callable[[str], Any]
"""Takes text and returns what it means, or raises ValueError, whose text says what to write instead."""

TAG = "tag:yaml.org,2002:"
"""What YAML's own tags begin with (YAML 1.1, section 2.4)."""

_NULL = TAG + "null"


class Problem(NamedTuple):
    """What is wrong in a line (counted from 1); `key` is the one that it is about, if it is about a value."""

    line: int
    text: str
    key: str = ""


class Mistake(Exception):
    """A value is not what its key takes; it can be wrong in several places."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)
        self.problems = problems


@dataclass
class Section:
    """What a mapping says: `values` of the keys that are right, `lines` of all that have a value, `ignored` keys, problems."""

    filename: str
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, key: str, text: str) -> None:
        """Add a mistake that shows only when keys are seen together, at the line of `key` or of the document's start."""
        self.problems.append(Problem(self.lines.get(key, 1), text, key))

    def checked(self) -> dict[str, Any]:
        """`values`; raises DocumentError with all problems, in the order of lines, if there are any."""
        if self.problems:
            raise _document_error(self.filename, self.problems)
        return self.values


def read(
    text: bytes,
    filename: str,
    kinds: Mapping[str, Kind],
    *,
    renamed: Mapping[str, str] = {},
    ignored: Collection[str] = (),
    optional: bool = False,
) -> Section:
    """The mapping that a document is; look at, and add to, its `problems`, then call `checked`.

    `renamed` has other spellings of keys with the right one, for the message. Keys in `ignored`, and those that begin with
    one of them and a dot, are only noted. A key without a value is as if it were not there; with `optional` so is the
    whole document. Raises DocumentError for what is no YAML at all.
    """
    section = Section(filename)
    try:
        node = _compose(text)
        if node is not None and node.tag != _NULL:
            _fill(section, node, kinds, renamed, ignored)
        elif not optional:
            raise Mistake(Problem(1, "there is nothing in it; write `key: value` lines"))
    except Mistake as mistake_:
        raise _document_error(filename, mistake_.problems) from None
    return section


def section(kinds: Mapping[str, Kind]) -> Kind:
    """A kind: a dict of the keys that are there."""

    def read_section(node: yaml.Node) -> dict[str, Any]:
        found = Section("")
        _fill(found, node, kinds)
        if found.problems:
            raise Mistake(*found.problems)
        return found.values

    return Shaped(read_section, keys(kinds))


def named(check_name: Check, kind: Kind, absent: Kind) -> Kind:
    """A kind: a dict of what `kind` reads, or `absent` where there is no value, by names that `check_name` takes."""

    def read_named(node: yaml.Node) -> dict[str, Any]:
        found: dict[str, Any] = {}
        problems: list[Problem] = []
        for name, line, value in _pairs(node, problems):
            try:
                check_name(name)
            except ValueError as error:
                problems.append(Problem(line, str(error)))
            try:
                found[name] = (absent if value.tag == _NULL else kind)(value)
            except Mistake as below:
                problems.extend(_below(shown(name), below))
        if problems:
            raise Mistake(*problems)
        return found

    return Shaped(read_named, names(kind))


def sections(check_name: Check, kinds: Mapping[str, Kind]) -> Kind:
    """A kind: a dict of dicts by name; a name without a value has an empty one."""
    return named(check_name, section(kinds), lambda node: {})


def mistake(node: yaml.Node, text: str) -> Mistake:
    """The Mistake that `text` is true of the value `node`."""
    return Mistake(Problem(node.start_mark.line + 1, text))


def what(node: yaml.Node) -> str:
    """What shape a value has, for messages."""
    if isinstance(node, yaml.ScalarNode):
        return "a text"
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"


def require(node: yaml.Node, tag: str) -> None:
    """Raises Mistake if somebody wrote another tag than YAML's own `tag` on the value."""
    if node.tag != TAG + tag:
        raise mistake(node, f"the tag {quoted(node.tag)} is not known here; leave it out")


def shown(key: str) -> str:
    """A key as it may stand in a message: as it is if it is plain and short, else in quotes."""
    return key if re.fullmatch(r"[A-Za-z0-9_.-]{1,60}", key) else quoted(key)


def nearest(word: str, known: Collection[str]) -> str | None:
    """The one of `known` that `word` was probably meant to be (difflib's ratio, at least 0.6)."""
    found = difflib.get_close_matches(word[:60].lower(), list(known), n=1)
    return found[0] if found else None


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
            raise Mistake(Problem(line, "aliases (*name) are not read here; write the value out, or in quotes"))
        return super().compose_node(parent, index)


def _compose(text: bytes) -> yaml.Node | None:
    if len(text) > MAX_BYTES:
        raise Mistake(Problem(1, f"it has {len(text)} bytes; write at most {MAX_BYTES}"))
    try:
        decoded = text.decode("utf-8-sig")
        return _Loader(decoded).get_single_node()
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise Mistake(Problem(line, "this is not UTF-8; save the file in that encoding")) from None
    except yaml.reader.ReaderError as error:
        line = decoded.count("\n", 0, error.position) + 1
        character = f"U+{ord(decoded[error.position]):04X}"
        raise Mistake(Problem(line, f"the character {character} may not be in YAML; remove it")) from None
    except yaml.MarkedYAMLError as error:
        raise Mistake(_syntax(error, decoded)) from None
    except RecursionError:
        raise Mistake(Problem(1, "there are lists in lists in lists, too deep; write values flat")) from None


def _syntax(error: yaml.MarkedYAMLError, text: str) -> Problem:
    """What is wrong with the YAML itself, with the likeliest way to mend it."""
    wrong = f"{error.context or ''} {error.problem or ''}".strip()
    mark = error.context_mark if "end of stream" in wrong and error.context_mark else error.problem_mark
    number = mark.line if mark else 0
    line = "".join(text.splitlines()[number : number + 1])
    indented = re.match(r"\s+([\w.-]{1,40}):", line)
    if "mapping values are not allowed" in wrong and indented:
        key = f"`{indented[1]}:`"
        said = f"{key} is indented below a key that has a value; write all keys at one level, no spaces before {key}"
    elif "mapping values are not allowed" in wrong:
        said = "there is a second `: ` in this line; put quotes round the value that has it"
    elif "'\\t'" in wrong:
        said = "there is a tab; write spaces instead"
    elif "<block mapping start>" in wrong or "<block sequence start>" in wrong:
        said = f"not YAML ({wrong}); let all keys of one level begin in the same column"
    elif "end of stream" in wrong or "<stream end>" in wrong:
        said = f"not YAML ({wrong}); close the quotes, [ or {{ that are open here"
    elif "single document" in wrong:
        said = "a second document begins here; leave out this line"
    else:
        said = f"not YAML ({wrong}); put quotes round a value that begins with one of > * & ! | @ % ` {{ [ or has `: ` in it"
    return Problem(number + 1, said)


def _fill(
    found: Section,
    node: yaml.Node,
    kinds: Mapping[str, Kind],
    renamed: Mapping[str, str] = {},
    ignored: Collection[str] = (),
) -> None:
    for key, line, value in _pairs(node, found.problems):
        if key in kinds:
            if value.tag == _NULL:
                continue
            found.lines[key] = line
            try:
                found.values[key] = kinds[key](value)
            except Mistake as below:
                found.problems.extend(_below(key, below))
        elif key in ignored or key.partition(".")[0] in ignored:
            found.ignored[key] = line
        elif key in renamed:
            found.problems.append(Problem(line, f"`{key}` is called `{renamed[key]}` here; write {renamed[key]}:"))
        else:
            guess = nearest(key, [*kinds, *ignored])
            advice = f"did you mean {guess}?" if guess else f"write one of {', '.join(kinds)}"
            found.problems.append(Problem(line, f"unknown key {quoted(key)}; {advice}"))


def _pairs(node: yaml.Node, problems: list[Problem]) -> Iterator[tuple[str, int, yaml.Node]]:
    """Key, line and value of a mapping's keys, each once; what is wrong with the keys is added to `problems`."""
    if not isinstance(node, yaml.MappingNode):
        raise mistake(node, f"there is {what(node)} where keys should be; write `key: value` lines")
    require(node, "map")
    first: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            problems.append(Problem(line, "a key is not plain text; write `key: value`"))
        elif key.value in first:
            problems.append(Problem(line, f"{quoted(key.value)} is in line {first[key.value]} already; write it once"))
        else:
            first[key.value] = line
            yield key.value, line, value


def _below(key: str, below: Mistake) -> Iterator[Problem]:
    for line, text, inner in below.problems:
        yield Problem(line, text, f"{key}.{inner}" if inner else key)


def _document_error(filename: str, problems: Collection[Problem]) -> DocumentError:
    ordered = sorted(problems, key=lambda problem: problem.line)
    lines = []
    for line, text, key in ordered[:MAX_PROBLEMS]:
        lines.append(f"{filename}:{line}: {key}: {text}" if key else f"{filename}:{line}: {text}")
    if more := ordered[MAX_PROBLEMS:]:
        lines.append(f"{filename}:{more[0].line}: and {len(more)} more mistakes; correct those above first")
    return DocumentError(tuple(lines))
