"""Where the user's own files are, also where no home folder is known."""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
from pathlib import Path

import pytest

from corpus import CorpusError, cache_folder, resolve_source
from corpus.errors import CorpusAccessError
from corpus.files.places import config_folder, expand_home, private_folder


@pytest.fixture(params=["none", "", "relative", "~"])
def no_home(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Path:
    """A process whose user has no entry in the table of users and no HOME that leads anywhere."""

    def unknown(_: object) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("CHARLM_CACHE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    if request.param == "none":
        monkeypatch.delenv("HOME", raising=False)
    else:
        monkeypatch.setenv("HOME", request.param)
    return tmp_path


def test_without_a_home_there_are_no_settings_and_the_cache_is_temporary(no_home: Path) -> None:
    """C11: a place that cannot be known is no reason not to run."""
    assert config_folder() is None
    folder = cache_folder()
    assert folder == no_home / f"charlm-tui-{os.geteuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert cache_folder() == folder


def test_without_a_home_a_tilde_is_an_error(no_home: Path) -> None:
    with pytest.raises(CorpusError, match="home folder is not known"):
        expand_home("~/runs")


def test_a_temporary_folder_that_others_could_fill_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    place = tmp_path / f"charlm-tui-{os.geteuid()}"
    (tmp_path / "theirs").mkdir(mode=0o700)
    place.symlink_to(tmp_path / "theirs")
    with pytest.raises(CorpusAccessError, match="is not a folder of this user"):
        private_folder()
    place.unlink()
    place.write_text("in the way", encoding="utf-8")
    with pytest.raises(CorpusAccessError, match="file exists"):
        private_folder()
    place.unlink()
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(CorpusAccessError, match="is open to other users"):
        private_folder()
    place.rmdir()
    assert private_folder() == place


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder away")
def test_a_temporary_folder_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    place = tmp_path / "charlm-tui-0"
    place.mkdir(mode=0o700)
    os.chown(place, 12345, 12345)
    with pytest.raises(CorpusAccessError, match="is not a folder of this user"):
        private_folder()


def test_a_tilde_is_the_home_folder_wherever_no_shell_has_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C10."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert expand_home("~/x y") == f"{tmp_path}/x y"
    assert expand_home("~") == str(tmp_path)
    for path in ("./~/x", "a~", "~there-is-no-such-user/x", "/a/~"):
        assert expand_home(path) == path
    monkeypatch.setenv("CHARLM_CACHE", "~/cache")
    assert cache_folder() == tmp_path / "cache"
    (tmp_path / "novel.txt").write_text("once upon a time", encoding="utf-8")
    source = resolve_source("~/novel.txt")
    assert (source.name, source.specification) == ("novel.txt", str(tmp_path / "novel.txt"))
