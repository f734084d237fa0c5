"""Trees that git makes and trees that only an attacker makes: what is refused, and in which words."""

import hashlib
import os
import random
import subprocess
import unicodedata

import pytest
from dulwich.object_store import BaseObjectStore
from dulwich.objects import ObjectID
from dulwich.repo import Repo

from gitdeploy.errors import Refused
from gitdeploy.git.inspect import Limits, Problem, blobs, entries, inspect, lines, link_problem, printable

FILE, EXECUTABLE, DIRECTORY, LINK, SUBMODULE = 0o100644, 0o100755, 0o40000, 0o120000, 0o160000
LIMITS = Limits(files=1000, unpacked=1_000_000)
FINE = (FILE, b"app.yaml", b"platform: static\n")


class Store(BaseObjectStore):
    """Objects in memory; trees are written as they are given, however wrong."""

    def __init__(self) -> None:
        self.raw: dict[bytes, tuple[int, bytes]] = {}

    def get_raw(self, oid):
        return self.raw[oid]

    def tree(self, *items) -> str:
        """The id of a tree of (mode, name, content); content: bytes of a blob, a list of items, or the id of an object."""
        raw = b""
        for mode, name, content in items:
            if isinstance(content, bytes):
                content = self.write(3, content)
            elif isinstance(content, list):
                content = self.tree(*content)
            raw += b"%o %b\0%b" % (mode, name, bytes.fromhex(content))
        return self.write(2, raw)

    def write(self, kind: int, raw: bytes) -> str:
        oid = hashlib.sha1(b"%b %d\0%b" % ({2: b"tree", 3: b"blob"}[kind], len(raw), raw)).hexdigest()
        self.raw[oid.encode()] = kind, raw
        return oid

    def blob(self, oid: str) -> bytes:
        return self.get_raw(ObjectID(oid.encode()))[1]


def look(store, tree: str, limits: Limits = LIMITS):
    listed = list(entries(store, tree, limits))
    sizes = {oid: len(store.get_raw(ObjectID(oid.encode()))[1]) for oid in blobs(listed)}
    return inspect(listed, limits, sizes, lambda oid: store.get_raw(ObjectID(oid.encode()))[1])


def problems(*items, limits: Limits = LIMITS) -> list[Problem]:
    store = Store()
    return list(look(store, store.tree(*items), limits).problems)


def only_problem(*items) -> Problem:
    found = problems(*items)
    assert len(found) == 1, found
    return found[0]


def test_what_a_tree_of_git_has():
    store = Store()
    root = store.tree(
        FINE,
        (EXECUTABLE, b"bin", b"#!/bin/sh\n"),
        (
            DIRECTORY,
            b"lib",
            [
                (FILE, b"__init__.py", b""),
                (LINK, b"up", b"../app.yaml"),
                (DIRECTORY, b"deep", [(LINK, b"l", b"../..")]),
            ],
        ),
        (LINK, b"link", b"lib/deep/l/app.yaml"),
    )
    found = look(store, root)
    assert found.problems == ()
    assert found.files == 6
    assert found.size == len("platform: static\n" + "#!/bin/sh\n" + "../app.yaml" + "../.." + "lib/deep/l/app.yaml")
    assert [entry.path for entry in entries(store, root, LIMITS)] == [
        *(b"app.yaml", b"bin", b"lib", b"link"),
        *(b"lib/__init__.py", b"lib/up", b"lib/deep", b"lib/deep/l"),
    ]


GOOD_NAMES = [
    *(
        "a",
        "a b",
        " a",
        "-rf",
        ".gitignore",
        ".gitattributes",
        ".github",
        ".git-blame-ignore-revs",
        "git",
        "a.git",
        "..a",
        "...",
        "git~10",
    ),
    *(
        "Größe.txt",
        "日本",
        "a\\b",
        "a:b",
        "a~1",
        "😀",
        "👩\u200d💻",
        "x" * 255,
        "é" * 127,
        "file.",
        "file ",
        "*",
        "'",
        '"',
        "$(id)",
        "gıt",
    ),
]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_names(name):
    assert problems((FILE, name.encode(), b"")) == []


DOT_GIT = [
    *(
        ".git",
        ".GIT",
        ".Git",
        ".gIt",
        ".git.",
        ".git ",
        ".git. .",
        ".git...",
        "git~1",
        "GIT~1",
        "git~1.",
        ".git::$INDEX_ALLOCATION",
        ".git:x",
    ),
    *(
        ".g\u200cit",
        "\u200d.git",
        ".git\u200e",
        ".gi\u206at",
        "\ufeff.git",
        ".\u202eGIT",
        ".g\u206fi\u200ft",
        ".git\\x",
        "a\\.git",
        "a\\GIT~1\\b",
    ),
    ".git\n",
]


@pytest.mark.parametrize("name", DOT_GIT)
@pytest.mark.parametrize("mode", [FILE, DIRECTORY, LINK])
def test_git_in_any_spelling(name, mode):
    if name == ".git\n":
        assert "control character" in only_problem((FILE, name.encode(), b"")).what
        return
    content = {FILE: b"", DIRECTORY: [FINE], LINK: b"x"}[mode]
    problem = only_problem((DIRECTORY, b"a", [(mode, name.encode(), content)]))
    assert problem.what == "is a spelling of .git, which git itself would read"
    assert problem.path.isprintable()


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"/", b"/etc/passwd", b"../x", b"a/", b".git/config"])
def test_names_that_are_none(name):
    assert only_problem((FILE, name, b"")).what == "is not the name of a file in its directory"


@pytest.mark.parametrize(
    "name", [b"a\nb", b"\n", b"a\tb", b"a\x7f", b"\x1b[2J", b"a\r", b"\xc2\x85", b"\xe2\x80\xa8", b"\x01"]
)
def test_control_characters(name):
    problem = only_problem((FILE, name, b""))
    assert problem.what == "its name has a newline or another control character"
    assert problem.path.isprintable()


@pytest.mark.parametrize("name", [b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\xc0\xae\xc0\xae"])
def test_names_that_are_no_text(name):
    problem = only_problem((FILE, name, b""))
    assert (problem.what, problem.path.isascii()) == ("its name is not UTF-8", True)


def test_long_names_and_paths():
    assert only_problem((FILE, b"x" * 256, b"")).what == "the name has 256 bytes; the limit is 255"

    def nested(last: bytes):
        inside = [(FILE, last, b"")]
        for _ in range(3):
            inside = [(DIRECTORY, b"d" * 249, inside)]
        return inside

    assert problems(*nested(b"x" * 250)) == []
    assert only_problem(*nested(b"x" * 251)).what == "the path has 1,001 bytes; the limit is 1,000"


def test_depth():
    def nested(directories: int):
        inside = [(FILE, b"f", b"")]
        for _ in range(directories):
            inside = [(DIRECTORY, b"d", inside)]
        return inside

    assert problems(*nested(200)) == []
    problem = only_problem(*nested(201))
    assert (problem.path, problem.what) == ("/".join("d" * 201), "is inside more than 200 directories")
    assert only_problem(*nested(900)) == problem  # no recursion, and no look further


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("README", "readme"),
        ("Straße", "STRASSE"),
        ("\u00e9", "e\u0301"),
        ("É", "e\u0301"),
        ("\ufb01", "fi"),
        ("Σ", "ς"),
        ("a.B", "A.b"),
    ],
)
def test_names_that_collide(one, two):
    problem = only_problem((FILE, one.encode(), b""), (FILE, two.encode(), b""))
    assert problem.what == f"differs from {one} only in case or accents"
    assert problem.path == two or not unicodedata.is_normalized("NFC", two)
    assert (
        problems((DIRECTORY, b"a", [(FILE, one.encode(), b"")]), (DIRECTORY, b"b", [(FILE, two.encode(), b"")])) == []
    )


def test_names_that_are_there_twice():
    assert only_problem((FILE, b"a", b"1"), (FILE, b"a", b"2")).what == "is there twice"
    assert only_problem((FILE, b"a", b"1"), (FILE, b"a.b", b""), (DIRECTORY, b"a", [FINE])).what == "is there twice"
    for items in ([(LINK, b"a", b"b"), (DIRECTORY, b"a", [FINE])], [(DIRECTORY, b"a", [FINE]), (LINK, b"a", b"b")]):
        problem = only_problem(*items)
        assert problem.what == "is there twice, once as a link, which the other would be written through"
    twice = problems((LINK, b"A", b"/tmp"), (DIRECTORY, b"a", [FINE]))
    assert [problem.path for problem in twice] == ["a", "A"]


@pytest.mark.parametrize(
    "mode", [0o100664, 0o100600, 0o100777, 0o104755, 0o40755, 0o20644, 0o10644, 0o140000, 0o60000, 0o644, 0o120777]
)
def test_modes(mode):
    problem = only_problem((mode, b"a b", b"content"))
    assert f"has the mode {mode:06o};" in problem.what
    assert problem.advice == "git rm --cached 'a b', git add -f 'a b', git commit --allow-empty"


def test_submodules():
    problem = only_problem(FINE, (DIRECTORY, b"lib", [(SUBMODULE, b"x", "ab" * 20)]))
    assert str(problem) == (
        "lib/x: is a submodule, whose files are not in this repository; put its files into the repository: "
        "git rm lib/x, then git subtree add --prefix lib/x URL BRANCH"
    )


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a" * 16 + b"\nsize 1\n"


def test_lfs_pointers():
    problem = only_problem((FILE, b"a b.png", POINTER))
    assert problem.what == "is a git-LFS pointer, and not the file"
    assert problem.advice == "put the file into git: git lfs migrate export --include='a b.png'"
    extended = POINTER.replace(b"oid", b"ext-0-foo sha256:" + b"ab" * 32 + b"\noid").ljust(1024)
    assert len(problems((EXECUTABLE, b"a", POINTER), (FILE, b"b", extended), (FILE, b"c", extended + b" "))) == 2
    assert problems((FILE, b"a", b"see " + POINTER), (FILE, b"b", b"version https://git-lfs.github.com/spec/")) == []


def test_only_small_blobs_and_links_are_read():
    store = Store()
    root = store.tree(
        (FILE, b"large", b"x" * 1025),
        (LINK, b"link", b"large"),
        (LINK, b"long", b"x" * 1001),
        (FILE, b"small", b"x" * 1024),
    )
    listed = list(entries(store, root, LIMITS))
    sizes = {oid: len(store.blob(oid)) for oid in blobs(listed)}
    read = []
    found = inspect(listed, LIMITS, sizes, lambda oid: read.append(oid) or store.blob(oid))
    assert [len(store.blob(oid)) for oid in read] == [5, 1024]
    assert [problem.what for problem in found.problems] == ["the link's target has 1,001 bytes; the limit is 1,000"]


@pytest.mark.parametrize(
    ("target", "directories"),
    [
        *((b"a", 0), (b"a/b/c", 0), (b"..", 1), (b"../a", 1), (b"../../a", 2), (b"./a", 0), (b"a/", 0), (b".", 0)),
        *((b"./../a", 1), (b"..a/b..", 0), ("Größe".encode(), 0), (b".gitignore", 0), (b"a b", 0), (b"x" * 1000, 0)),
    ],
)
def test_links(target, directories):
    assert link_problem(target, directories) is None


@pytest.mark.parametrize(
    ("target", "directories", "what"),
    [
        (b"", 0, "the link's target is empty"),
        (b"/etc/passwd", 0, "is a link to an absolute path, /etc/passwd"),
        (b"//x", 3, "is a link to an absolute path, //x"),
        (b"..", 0, "is a link out of the repository, .."),
        (b"../a", 0, "is a link out of the repository, ../a"),
        (b"./.././../a", 1, "is a link out of the repository, ./.././../a"),
        (b"../../../a", 2, "is a link out of the repository, ../../../a"),
        (b"a/../b", 0, "is a link with .. after a name, a/../b"),
        (b"../a/../b", 1, "is a link with .. after a name, ../a/../b"),
        (b"a/../../b", 0, "is a link with .. after a name, a/../../b"),
        (b".git/config", 0, "is a link through .git, .git/config"),
        (b"../.GIT/x", 1, "is a link through .git, ../.GIT/x"),
        (b"a/git~1", 0, "is a link through .git, a/git~1"),
        (b"a\nb", 0, "the link's target has a newline or another control character"),
        (b"a\0b", 0, "the link's target has a newline or another control character"),
        (b"\xff", 0, "the link's target is not UTF-8"),
    ],
)
def test_no_links(target, directories, what):
    found = link_problem(target, directories)
    assert found is not None and found[0] == what
    inside = [(LINK, b"l", target)]
    for _ in range(directories):
        inside = [(DIRECTORY, b"d", inside)]
    assert only_problem(*inside).what == what


def test_a_link_is_told_its_straight_way():
    relative = "link to a file of this repository by its relative path"
    assert link_problem(b"a/../b", 0) == ("is a link with .. after a name, a/../b", "write it as b")
    assert link_problem(b"../a/../b", 1)[1] == "write it as ../b"
    assert link_problem(b"a/../../b", 1)[1] == "write it as ../b"
    assert link_problem(b"a/../../b", 0)[1] == relative


def test_no_chain_of_links_leaves_the_tree(tmp_path):
    """Random trees of directories and links: wherever the links that are taken lead on a disk, it is inside."""
    rng = random.Random(17)
    inside = tmp_path / "tree"
    taken = followed = 0
    for round_ in range(60):
        root = inside / str(round_)
        directories = [""]
        root.mkdir(parents=True)
        for number in range(6):
            directories.append(f"{rng.choice(directories)}/d{number}")
            (root / directories[-1].lstrip("/")).mkdir()
        links = []
        for number in range(25):
            parent = rng.choice(directories)
            known = ["..", "..", ".", "d0", "d1", "d2", *(name for _, name in links)]
            target = "/".join(rng.choices(known, k=rng.randint(1, 5)))
            name = f"l{number}"
            if link_problem(target.encode(), parent.count("/")) is None:
                os.symlink(target, root / parent.lstrip("/") / name)
                links.append((parent, name))
                taken += 1
        for parent, name in links:
            try:
                end = os.path.realpath(root / parent.lstrip("/") / name, strict=True)
            except OSError:
                continue  # it dangles, or runs in a circle
            followed += 1
            assert os.path.commonpath([end, root]) == str(root), (parent, name)
    assert taken > 300 and followed > 100


def test_empty_directories():
    assert only_problem(FINE, (DIRECTORY, b"a", [])).what == "is an empty directory"
    assert only_problem(FINE, (DIRECTORY, b"a", [(DIRECTORY, b"b", [])])).path == "a/b"


def test_too_many_files():
    tree = [(FILE, b"%04d" % number, b"") for number in range(1500)]
    (problem,) = problems(*tree)
    assert str(problem) == (
        "1,500 files and directories; the limit is 1,000 (limits: files in gitdeploy.yaml); "
        "take out of git what the app does not need to run"
    )
    assert problems(*tree[:1000]) == []
    assert problems(*tree[:1001])[0].what.startswith("1,001 files")


def test_a_tree_that_grows_when_it_is_written():
    """Ten directories, each ten times the next: 10 kB in git, ten thousand million files on a disk."""
    store = Store()
    inside = store.tree((FILE, b"f", b""))
    for _ in range(10):
        inside = store.tree(*((DIRECTORY, b"%d" % number, inside) for number in range(10)))
    (problem,) = look(store, inside).problems
    assert problem.what.startswith("more than 2,000 files and directories; the limit is 1,000")


def test_too_many_bytes():
    limits = Limits(files=10, unpacked=2000)
    tree = [(FILE, b"a", b"x" * 900), (FILE, b"b", b"y" * 1000), (FILE, b"c", b"x" * 100)]
    assert problems(*tree, limits=limits) == []
    (problem,) = problems(*tree, (FILE, b"d", b"."), limits=limits)
    assert problem.what == "2,001 bytes unpacked; the limit is 2,000 (limits: unpacked in gitdeploy.yaml)"
    assert problem.advice.endswith("the largest file is b, 1,000 bytes")
    same = [(FILE, b"%d" % number, b"x" * 900) for number in range(3)]
    assert problems(*same, limits=limits)[0].what.startswith("2,700 bytes")  # one blob, but three files


def test_all_problems_are_found_and_twenty_shown():
    found = problems(
        *((FILE, b"%02d\n" % number, b"") for number in range(50)), (LINK, b"l", b"/"), (SUBMODULE, b".git", "ab" * 20)
    )
    assert len(found) == 53
    shown = lines(found)
    assert len(shown) == 21 and shown[-1] == "and 33 more"
    assert shown[0] == "00\\n: its name has a newline or another control character; rename it: git mv"
    assert lines(found[:20]) == shown[:20]


def test_objects_that_are_missing_or_something_else():
    store = Store()
    missing, blob = "ab" * 20, store.write(3, b"content")
    for child, reason in (
        (missing, "is missing"),
        (blob, "is not a directory"),
        (store.write(2, b"100644 a\0x"), "truncated"),
    ):
        root = store.tree(FINE, (DIRECTORY, b"lib", child))
        with pytest.raises(Refused, match=f"the tree {child} of /lib cannot be read.*{reason}"):
            list(entries(store, root, LIMITS))
    listed = list(entries(store, store.tree((FILE, b"a", missing)), LIMITS))
    assert inspect(listed, LIMITS, {}, store.blob).problems[0].what == f"its content {missing} is missing"
    with pytest.raises(Refused, match="leading zero"):
        list(entries(store, store.write(2, b"0100644 a\0" + b"x" * 20), LIMITS))


def test_printable():
    assert printable("Größe/日本".encode()) == "Größe/日本"
    assert printable(b"a\nb\xff\x1b\xe2\x80\xae\xc2\xa0") == "a\\nb\\xff\\x1b\\u202e\\xa0"


def test_a_hostile_tree_costs_little():
    """Names of a million bytes, a thousand files below each: what is shown stays short, and what is looked at bounded."""
    store = Store()
    many = store.tree(*((FILE, b"%d\n" % number, b"") for number in range(900)))
    root = store.tree(
        *((DIRECTORY, bytes([65 + number]) * 1_000_000, many) for number in range(2)), (DIRECTORY, b"x", many)
    )
    listed = list(entries(store, root, LIMITS))
    assert len(listed) == 903
    found = look(store, root).problems
    assert len(found) == 902 and all(len(str(problem)) < 1200 for problem in found)
    wide = store.tree(*((DIRECTORY, b"%d" % number, many) for number in range(5)))
    assert len(look(store, wide, Limits(10_000, 1_000)).problems) == 1800


# With the real git.


@pytest.fixture
def git(tmp_path):
    who = {f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **who,
    }

    def run(*args, stdin=b"") -> str:
        done = subprocess.run(
            ["git", *args], cwd=tmp_path, env=environ, input=stdin, capture_output=True, timeout=60, check=True
        )
        return done.stdout.decode().strip()

    run("init", "-q", "-b", "master")
    return run


def look_on_disk(path, commit_tree: str):
    repo = Repo(path)
    try:
        return look(repo.object_store, commit_tree)
    finally:
        repo.close()


def test_a_repository_of_git(git, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "Größe.py").write_text("x = 1\n")
    (tmp_path / "run").write_text("#!/bin/sh\n")
    (tmp_path / "run").chmod(0o755)
    (tmp_path / "link").symlink_to("lib")
    git("add", ".")
    git("commit", "-qm", "x")
    git("repack", "-adq")
    found = look_on_disk(tmp_path, git("rev-parse", "HEAD^{tree}"))
    assert (found.files, found.size, found.problems) == (3, 6 + 10 + 3, ())


def test_the_advice_about_old_modes_works(git, tmp_path):
    blob = git("hash-object", "-w", "--stdin", stdin=b"content")
    raw = b"100664 f\0" + bytes.fromhex(blob)
    subtree = git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)
    root = git("mktree", stdin=f"040000 tree {subtree}\td\n".encode())
    git("reset", "-q", "--hard", git("commit-tree", "-m", "old", root))
    (problem,) = look_on_disk(tmp_path, root).problems
    assert problem.path == "d/f" and "100664" in problem.what
    remove, add, commit = problem.advice.split(", ")
    for command in (remove, add, f"{commit} -m new"):
        git(*command.split()[1:])
    assert look_on_disk(tmp_path, git("rev-parse", "HEAD^{tree}")).problems == ()
