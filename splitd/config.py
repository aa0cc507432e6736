"""The settings of the front: its YAML file, and its command line."""

from __future__ import annotations

from splitd.settings.serving import Serving
from storaged.system.settings import SettingsOptions


class Config(Serving, frozen=True, forbid_unknown_fields=True):
    """The settings of the front; each is a key of its YAML file and an option of its command line."""


class Options(SettingsOptions[Config]):
    """The command line of `twistd splitd`."""

    kind = Config
    synopsis = "[options]"
    longdesc = "The front of a splitd cluster: takes files over HTTP and WebDAV and stores them on the nodes."
