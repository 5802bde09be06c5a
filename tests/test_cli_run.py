"""`gpugrad run`: a script runs as under Python itself, with its gradients computed by gpugrad."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from internals import cli_main

SHOW = """
import sys
print(__name__, sys.argv, sys.path[0], len(sys.path), __file__, __package__, __spec__ is None)
"""


@pytest.fixture
def write(tmp_path):
    def write(name, code):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(code))

    return write


def python(*arguments, cwd):
    environment = {**os.environ}
    environment.pop("GPUGRAD_BACKEND", None)
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


def both(*arguments, cwd):
    """Run a script by the command and by Python, and return what the command did."""
    theirs = python(*arguments, cwd=cwd)
    ours = python("-m", "gpugrad", "run", *arguments, cwd=cwd)
    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout)
    assert ours.stderr == theirs.stderr
    return ours


def test_a_script_sees_what_it_sees_under_python(write, tmp_path):
    write("in/script.py", SHOW + "import beside; sys.exit(3)")
    write("in/beside.py", "print('imported')")
    done = both("in/script.py", "-m", "--fallback", "--", "--backend", "x", "-h", cwd=tmp_path)
    assert done.returncode == 3
    assert "imported" in done.stdout
    assert "'-m', '--fallback', '--', '--backend', 'x', '-h'" in done.stdout


def test_a_module_sees_what_it_sees_under_python(write, tmp_path):
    write("package/__init__.py", "")
    write("package/part.py", SHOW + "raise SystemExit('text')")
    done = both("-m", "package.part", "-m", "x", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "text\n")


def test_tracebacks_begin_in_the_script(write, tmp_path):
    write("script.py", "def f():\n    1 / 0\ntry:\n    f()\nexcept OSError:\n    pass\n")
    assert "ZeroDivisionError" in both("script.py", cwd=tmp_path).stderr
    write("wrong.py", "def f(:")
    assert "SyntaxError" in both("wrong.py", cwd=tmp_path).stderr
    assert "No module named nowhere" in both("-m", "nowhere", cwd=tmp_path).stderr


def test_errors_of_the_package_are_the_scripts_own(write, tmp_path):
    write("script.py", "import gpugrad\nraise gpugrad.BackendError('mine')")
    done = python("-m", "gpugrad", "run", "script.py", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("gpugrad.BackendError: mine\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["script.py"],
        pytest.param(["-m", "script"], marks=pytest.mark.exhaustive),
        pytest.param(["."], marks=pytest.mark.exhaustive),
    ],
)
def test_main_stays_the_scripts_at_the_exit(arguments, write, tmp_path):
    code = """
        import atexit, pickle, threading, time
        def f(): pass
        def work():
            time.sleep(0.2)
            print(pickle.loads(pickle.dumps(f)) is f)
        atexit.register(work)
        threading.Thread(target=work).start()
    """
    write("script.py", code)
    write("__main__.py", code)
    assert both(*arguments, cwd=tmp_path).stdout == "True\nTrue\n"


def test_gradients_are_computed_by_gpugrad(write, tmp_path):
    code = """
        import multiprocessing, os, threading, numpy as np
        f = np.array([0.0, 1.0, 4.0])
        def show(*_):
            code = np.gradient._implementation.__code__
            return "_patch" in code.co_filename, os.environ.get("GPUGRAD_BACKEND")
        if __name__ == "__main__":
            print(np.gradient(f, 0.0), show())
            for way in ("fork", "spawn"):
                with multiprocessing.get_context(way).Pool(1) as pool:
                    print(way, *pool.map(show, [1]))
            def backend():
                import gpugrad
                print(gpugrad.explain(f).backend)
            thread = threading.Thread(target=backend)
            thread.start()
            thread.join()
    """
    write("script.py", code)
    options = ["--fallback", "--backend", "slices"]
    done = python("-W", "ignore", "-m", "gpugrad", "run", *options, "script.py", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "[inf inf inf] (True, 'slices')",
        "fork (True, 'slices')",
        "spawn (False, 'slices')",
        "slices",
    ], done.stderr
    done = python("-m", "gpugrad", "run", "script.py", cwd=tmp_path)
    assert done.returncode == 1
    assert "`gpugrad.patch_numpy(fallback=True)`" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nowhere.py"], 2, "gpugrad run: error: there is no file 'nowhere.py'.\n"),
        (["--backend", "nix", "x.py"], 1, "`backend` must be one of"),
        (["--bakend", "slices"], 2, "gpugrad run --help lists the options"),
        ([], 2, "the following arguments are required: script"),
    ],
)
def test_mistakes_are_told(arguments, status, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.py").write_text("")
    try:
        returned = cli_main.main(["run", *arguments])
    except SystemExit as error:
        returned = error.code
    stderr = capsys.readouterr().err
    assert returned == status
    assert message in stderr
    assert len(stderr.splitlines()) == 1
