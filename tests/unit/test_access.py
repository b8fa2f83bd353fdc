"""Who runs this, and where they may write."""

import getpass
import os
import pwd
import sys
from pathlib import Path

import pytest

from pocketscope.core.errors import InputError
from pocketscope.data.sources.paths import place_of
from pocketscope.runtime import access


def test_a_folder_of_another_user_is_named_with_its_owner(tmp_path, monkeypatch):
    access.check_folders([tmp_path, tmp_path / "absent"])
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # to the administrator everything is open
    with pytest.raises(InputError, match=f"belongs to {tmp_path.owner()}; make it writable"):
        access.check_folders([tmp_path])


def test_a_python_whose_path_holds_a_space_is_named(monkeypatch):
    access.check_interpreter()
    monkeypatch.setattr(sys, "executable", "/media/USB DISK/.venv/bin/python")
    with pytest.raises(InputError, match=r"^/media/USB DISK/.venv/bin/python: the path of this Python holds a space"):
        access.check_interpreter()


def test_a_user_without_a_name_gets_one(monkeypatch):
    def nobody(number):
        raise KeyError(number)

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOGNAME", "")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    access.name_user()
    assert getpass.getuser() == f"user{os.getuid()}"


def test_a_home_that_nobody_knows_is_told(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(InputError, match="write the whole path in place of '~'"):
        place_of({"path": "~/images"}, Path("/"))
