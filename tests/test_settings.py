"""Every setting is read somewhere: attributes are followed by the types of their objects."""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import trainer.config
from trainer.config import CustomData, Train
from trainer.config.fields import element, is_section, type_hints, variants
from trainer.config.optimizers import Optimizer as OptimizerConfig
from trainer.optim.optimizers import OPTIMIZERS

PACKAGE = Path(trainer.config.__file__).parents[1]
FILES = [path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE / "config"]


def _sections(hint):
    """The section classes that a hint admits."""
    return frozenset(variants(hint).values()) | ({hint} if isinstance(hint, type) else set())


def _named():
    """The section classes behind each name in trainer.config: a class, or a union of classes."""
    found = {}
    for info in pkgutil.iter_modules(trainer.config.__path__):
        for name, value in vars(importlib.import_module(f"trainer.config.{info.name}")).items():
            if is_section(value):
                found[name] = found.get(name, frozenset()) | _sections(value)
    return found


NAMED = _named()
# Base classes of sections are checked as part of what inherits from them.
SECTIONS = sorted(
    (each for each in frozenset().union(*NAMED.values()) if not each.__subclasses__()),
    key=lambda each: each.__name__,
)


def _members(classes, name):
    """The section classes of a field."""
    found = frozenset()
    for each in classes:
        hint = type_hints(each).get(name)
        for part in (hint, element(hint) if hint is not None else None):
            if part is not None and is_section(part):
                found |= _sections(part)
    return found


class Reader(ast.NodeVisitor):
    """Collects (class, field) for each attribute read of a value whose section is known."""

    def __init__(self, module, known):
        self.known = known
        self.aliases = {}
        self.read = set()
        for node in ast.walk(module):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trainer."):
                self.aliases |= {a.asname: a.name for a in node.names if a.asname}

    def annotated(self, annotation):
        found = frozenset()
        for node in ast.walk(annotation):
            if isinstance(node, (ast.Name, ast.Attribute)):
                name = node.id if isinstance(node, ast.Name) else node.attr
                found |= NAMED.get(self.aliases.get(name, name), frozenset())
        return found

    def classes(self, node):
        if isinstance(node, (ast.Name, ast.Attribute)):
            direct = self.known.get(ast.unparse(node), frozenset())
            if isinstance(node, ast.Attribute):
                direct |= _members(self.classes(node.value), node.attr)
            return direct
        return frozenset()

    def bind(self, target, classes):
        if classes and isinstance(target, (ast.Name, ast.Attribute)):
            name = ast.unparse(target)
            self.known[name] = self.known.get(name, frozenset()) | classes

    def visit_arg(self, node):
        if node.annotation is not None:
            self.bind(ast.Name(node.arg), self.annotated(node.annotation))

    def visit_AnnAssign(self, node):
        self.bind(node.target, self.annotated(node.annotation))
        # A field of a class is read through `self`.
        field = ast.Attribute(ast.Name("self"), ast.unparse(node.target))
        self.bind(field, self.annotated(node.annotation))
        self.generic_visit(node)

    def visit_Assign(self, node):
        self.generic_visit(node)
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=True))
            for name, value in pairs:
                self.bind(name, self.classes(value))

    def visit_For(self, node):
        self.bind(node.target, self.classes(node.iter))
        self.generic_visit(node)

    def visit_comprehension(self, node):
        self.bind(node.target, self.classes(node.iter))
        self.generic_visit(node)

    def visit_Attribute(self, node):
        self.generic_visit(node)
        for each in self.classes(node.value):
            self.read.add((each, node.attr))

    def visit_Call(self, node):
        if ast.unparse(node.func) == "getattr" and isinstance(node.args[1], ast.Constant):
            for each in self.classes(node.args[0]):
                self.read.add((each, node.args[1].value))
        self.generic_visit(node)


def settings_read(path):
    """The pairs (section class, field) that a file reads."""
    module = ast.parse(path.read_text())
    known, before = {}, -1
    # Once more, for names that are used above the line that gives their type.
    while len(known) > before:
        before = len(known)
        reader = Reader(module, known)
        reader.visit(module)
    return reader.read


# Sections and fields that are used otherwise than by reading an attribute.
READ_OTHERWISE = {
    # A user's own function gets the section.
    (CustomData, "path"),
}
SETTINGS_READ = {pair for path in FILES for pair in settings_read(path)}


def is_read(section, name):
    """Whether a field is read of a section, or of one that it inherits the field from."""
    if issubclass(section, tuple(variants(OptimizerConfig).values())):
        # An optimizer's own fields are the arguments of its Keras class.
        arguments = inspect.signature(OPTIMIZERS[section.kind]).parameters
        if name in arguments:
            return True
    # A section is also told from its alternatives by its class.
    return (
        name == "kind"
        or (section, name) in READ_OTHERWISE
        or any((base, name) in SETTINGS_READ for base in section.__mro__)
    )


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_setting_is_read_somewhere(section):
    for field in dataclasses.fields(section):
        assert is_read(section, field.name), f"{section.__name__}.{field.name} is never read"


@pytest.mark.parametrize("name", ["path", "name", "seed"])
def test_common_names_of_other_things_do_not_count(name):
    assert not is_read(Train, name)
