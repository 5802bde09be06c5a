"""The recorder of calls tells the same from not the same: bits, messages, warnings, orders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gpugrad

TOOLS = Path(__file__).parent.parent / "tools"
SLICE = "^(layouts/f8|axes|wrong spacings/gradient)"


@pytest.fixture
def recorder(monkeypatch):
    if not TOOLS.exists():
        pytest.skip("not a checkout")
    monkeypatch.syspath_prepend(str(TOOLS))
    import record_calls

    return record_calls


def record(recorder, path, only=SLICE):
    recorder.records.write(path, recorder.header(), recorder.make_record(only))
    return path


def compare(recorder, capsys, *paths):
    capsys.readouterr()
    status = recorder.main(["compare", *map(str, paths), "--most", "1000"])
    return status, capsys.readouterr().out


@pytest.mark.exhaustive
def test_a_slice_is_recorded_and_equals_itself(recorder, tmp_path, capsys):
    command = [sys.executable, TOOLS / "record_calls.py", "record", "a.rec", "--only", SLICE]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = record(recorder, tmp_path / "b.rec")
    assert again.read_bytes() == (tmp_path / "a.rec").read_bytes()
    status, text = compare(recorder, capsys, tmp_path / "a.rec", again)
    assert status == 0
    assert "0 of them differ" in text
    assert recorder.main(["show", "axes/f8 4x5x8/axis=1"]) == 0
    shown = capsys.readouterr().out
    assert "gradient(<numpy f8 4x5x8 C seed 0>, axis=1)" in shown
    assert "array([[[" in shown


def test_names_are_unique_and_there_are_thousands(recorder):
    names = [call.name for call in recorder.calls()]
    assert len({*names}) == len(names) > 3000


def test_a_changed_bit_is_noticed(recorder, tmp_path, monkeypatch, capsys):
    before = record(recorder, tmp_path / "before")
    gradient = gpugrad.gradient

    def off_by_one_bit(f, *args, **keywords):
        result = gradient(f, *args, **keywords)
        if isinstance(result, np.ndarray) and result.size:
            result.flat[-1] = np.nextafter(result.flat[-1], np.inf)
        return result

    monkeypatch.setattr(gpugrad, "gradient", off_by_one_bit)
    status, text = compare(recorder, capsys, before, record(recorder, tmp_path / "after"))
    assert status == 1
    assert "differ in bits" in text
    assert "axes/f8 4x5x8/axis=1" in text
    assert "messages" not in text


def test_a_changed_message_is_noticed(recorder, tmp_path, monkeypatch, capsys):
    before = record(recorder, tmp_path / "before")
    gradient = gpugrad.gradient

    def with_other_words(*args, **keywords):
        try:
            return gradient(*args, **keywords)
        except ValueError as error:
            raise ValueError(f"{error} Please.") from error

    monkeypatch.setattr(gpugrad, "gradient", with_other_words)
    status, text = compare(recorder, capsys, before, record(recorder, tmp_path / "after"))
    assert status == 1
    assert "wrong spacings: " in text
    assert "differ in messages" in text
    assert "bits" not in text


def test_other_orders_dtypes_and_warnings_are_noticed(recorder, tmp_path, monkeypatch, capsys):
    before = record(recorder, tmp_path / "before", "^layouts/f8")
    gradient = gpugrad.gradient

    def changed(f, *args, **keywords):
        turned, other = gradient(f, *args, **keywords)[:2]
        return np.asfortranarray(turned), other.astype("f4")

    monkeypatch.setattr(gpugrad, "gradient", changed)
    status, text = compare(
        recorder, capsys, before, record(recorder, tmp_path / "b", "^layouts/f8")
    )
    assert status == 1
    assert "dtype, order in memory" in text
    only = record(recorder, tmp_path / "c", "^layouts/f8 7x6")
    status, text = compare(recorder, capsys, before, only)
    assert status == 1
    assert "only in the first record" in text


def test_nan_of_any_payload_and_sign_are_alike(recorder):
    from recording.digests import bytes_of, describe

    nans = np.array([np.nan, -np.nan, 1.0])
    nans.view("u8")[0] |= 5
    assert bytes_of(nans) == bytes_of(np.array([np.nan, np.nan, 1.0]))
    assert describe(np.array([0.0])) != describe(np.array([-0.0]))
    assert describe(nans.astype("g")) == describe(np.array([np.nan, np.nan, 1.0], "g"))
    assert describe(np.zeros((2, 3))) != describe(np.zeros((2, 3), order="F"))
    assert describe(1) != describe(np.int64(1))


def test_what_a_call_does_to_its_arguments_and_warns_of_is_recorded(recorder, monkeypatch):
    from recording.calls import Call
    from recording.fields import field
    from recording.running import run

    def overwrite(f):
        f[...] = 0
        return f

    answer = run(Call("a", overwrite, (field("f8", (3, 4)),)))
    assert answer["changes arguments"] == [0]
    there_and_back = run(Call("b", "gradient", (field("f8", (5,)), [0.0, 2, 1, 4, 3])))
    assert there_and_back["warns"][0].startswith("GpugradWarning, at the caller's line: `spacing`")
    assert "changes arguments" not in there_and_back


def test_texts_lose_what_depends_on_the_machine(recorder):
    from recording.digests import scrub

    text = "<f at 0x7f0012abcd> in /tmp/x1/y/out.npy, 12.5 s, 3/4 of kelvin/meter, run1/T/a"
    assert scrub(text) == "<f at 0x...> in .../out.npy, ... s, 3/4 of kelvin/meter, run1/T/a"
