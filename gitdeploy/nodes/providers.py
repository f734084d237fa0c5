"""From a provider's block in gitdeploy.yaml to a driver of libcloud that is ready to be asked."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from libcloud.compute.providers import DRIVERS, get_driver, set_driver

from ..errors import ConfigError, GitdeployError, NotFound
from ..names import nearest, quoted
from .cloud import Cloud

OURS = ("driver", "login", "location")
"""Settings that are not the driver's: which one it is, who its images log in as, where machines are to be."""
TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True)
class Choice:
    """A provider's settings, sorted: what the driver is made with, and what each machine is made with (``ex_...``)."""

    driver: type[Any]
    made_with: Mapping[str, Any]
    each: Mapping[str, Any] = field(default_factory=dict)
    login: str = "root"
    location: str | None = None


def connect(name: str, settings: Mapping[str, str]) -> Cloud:
    """The provider called `name`. Raises ConfigError for settings that it does not take, or lacks."""
    choice = choose(name, settings)
    try:
        driver = choice.driver(**choice.made_with)
    except GitdeployError as error:
        raise ConfigError(f"providers.{name} in gitdeploy.yaml: {error}", *error.details) from error
    except Exception as error:  # drivers look at their settings in their own ways, and raise Exception itself
        raise ConfigError(
            f"providers.{name} in gitdeploy.yaml: {settings['driver']} does not take that: {error}"
        ) from error
    return Cloud(name, driver, choice.login, choice.location, dict(choice.each))


def choose(name: str, settings: Mapping[str, str]) -> Choice:
    """Sort and check the settings of a provider. Raises ConfigError."""
    where = f"providers.{name} in gitdeploy.yaml"
    driver = driver_class(where, settings.get("driver"))
    known, open_ended = parameters(driver)
    each = {
        key: value for key, value in inspect.signature(driver.create_node).parameters.items() if key.startswith("ex_")
    }
    made_with, machine = {}, {}
    for key, text in settings.items():
        if key in OURS:
            continue
        if key in known:
            made_with[key] = converted(where, key, text, known[key])
        elif key in each:
            machine[key] = converted(where, key, text, each[key])
        elif open_ended and key.startswith("ex_"):
            made_with[key] = text
        else:
            others = sorted({*known, *each, *OURS} - {"driver"})
            guess = nearest(key, others)
            advice = f"did you mean {guess}?" if guess else f"it takes {', '.join(others)}"
            raise ConfigError(f"{where}: {settings['driver']} knows no {quoted(key)}; {advice}")
    lacking = [key for key, one in known.items() if one.default is one.empty and key not in made_with]
    if lacking:
        raise ConfigError(f"{where}: {settings['driver']} needs {', '.join(lacking)}; write {lacking[0]}: ...")
    return Choice(driver, made_with, machine, settings.get("login") or "root", settings.get("location"))


def driver_class(where: str, driver: str | None) -> type[Any]:
    """libcloud's driver of that name, or ours. Raises ConfigError."""
    if "nspawn" not in DRIVERS:
        set_driver("nspawn", "gitdeploy.nodes.nspawn", "NspawnNodeDriver")  # type: ignore[arg-type]  # names are fine, too
    if not driver:
        raise ConfigError(f"{where}: there is no driver; write one as libcloud calls it, such as driver: ec2")
    try:
        found: type[Any] = get_driver(driver)
    except (AttributeError, ImportError) as error:
        if driver in DRIVERS:
            raise ConfigError(
                f"{where}: the driver {driver} cannot be used here: {error}; install what it needs"
            ) from error
        guess = nearest(driver, [str(name) for name in DRIVERS])
        advice = (
            f"did you mean {guess}?"
            if guess
            else "write one as libcloud calls it, such as ec2, openstack, digitalocean"
        )
        raise ConfigError(f"{where}: there is no driver {quoted(driver)}; {advice}") from None
    return found


def parameters(driver: type[Any]) -> tuple[dict[str, inspect.Parameter], bool]:
    """What a driver is made with, those of the classes that it hands the rest to included; and whether it takes what it does
    not name. Drivers of several versions choose their class when they are made (``__new__``): what that takes counts, too."""
    found: dict[str, inspect.Parameter] = {}
    for one in driver.__mro__:
        for method in (one.__dict__.get("__new__"), one.__dict__.get("__init__")):
            if method is None or one is object:
                continue
            function = getattr(method, "__func__", method)
            for name, parameter in list(inspect.signature(function).parameters.items())[1:]:
                if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                    found.setdefault(name, parameter)
        own = one.__dict__.get("__init__")
        if own is not None and not any(
            parameter.kind is parameter.VAR_KEYWORD for parameter in inspect.signature(own).parameters.values()
        ):
            return {name: found[name] for name in found if not name.startswith("ex_run")}, False
    return found, True


def converted(where: str, key: str, text: str, parameter: inspect.Parameter) -> Any:
    """A setting as the driver wants it, by what stands there if it is not set. Raises ConfigError."""
    if isinstance(parameter.default, bool) or key == "secure":
        if text.lower() not in TRUTH:
            raise ConfigError(f"{where}: {key}: {quoted(text)} is neither true nor false; write one of them")
        return TRUTH[text.lower()]
    if isinstance(parameter.default, int) or key in ("port", "timeout"):
        try:
            return int(text)
        except ValueError:
            raise ConfigError(f"{where}: {key}: {quoted(text)} is no whole number; write one") from None
    if parameter.default is None and key.endswith("s") and "," in text:
        return [part.strip() for part in text.split(",")]
    return text


def only(providers: Mapping[str, Mapping[str, str]], wanted: str | None) -> str:
    """The provider to take: the one that is wanted, or the only one. Raises ConfigError, or NotFound for one that is not there."""
    if wanted is None:
        if len(providers) == 1:
            return next(iter(providers))
        names = ", ".join(sorted(providers))
        advice = f"choose one: --provider {names}" if names else "write one under providers: in gitdeploy.yaml"
        raise ConfigError(f"there are {len(providers)} providers; {advice}")
    if wanted not in providers:
        guess = nearest(wanted, providers)
        advice = f"did you mean {guess}?" if guess else "write it under providers: in gitdeploy.yaml"
        raise NotFound(f"there is no provider {quoted(wanted)}; {advice}")
    return wanted
