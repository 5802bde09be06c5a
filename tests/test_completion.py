"""What editors show: names after a dot, and the text about a name under the mouse.

A language server, which editors start beside them, is asked as they ask it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import pytest

import gpugrad

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.skipif(
        not find_spec("basedpyright"), reason="needs basedpyright, a build of pyright"
    ),
]


class Server:
    """A language server, with one file that is rewritten for each question."""

    def __init__(self, folder):
        self._uri = (folder / "script.py").as_uri()
        self._numbers = count(1)
        code = "from basedpyright.langserver import main; main()"
        command = [sys.executable, "-c", code, "--stdio"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        place = {"name": "folder", "uri": folder.as_uri()}
        can = {
            "textDocument": {"hover": {"contentFormat": ["plaintext"]}},
            "workspace": {"configuration": True},
        }
        self._ask("initialize", processId=None, capabilities=can, workspaceFolders=[place])
        self._send(method="initialized", params={})
        document = {"uri": self._uri, "languageId": "python", "version": 0, "text": ""}
        self._send(method="textDocument/didOpen", params={"textDocument": document})

    def stop(self):
        self._ask("shutdown")
        self._send(method="exit")
        self.process.communicate(timeout=30)

    def list_names(self, text):
        """Return the names that are offered behind a text."""
        answer = self._ask_about(text, "textDocument/completion", 0)
        return {item["label"] for item in answer["items"]}

    def read_hover(self, text):
        """Return what is shown of the last name of a text."""
        answer = self._ask_about(text, "textDocument/hover", -1)
        return answer["contents"]["value"]

    def _ask_about(self, text, method, shift):
        document = {"uri": self._uri, "version": next(self._numbers)}
        change = {"textDocument": document, "contentChanges": [{"text": text}]}
        self._send(method="textDocument/didChange", params=change)
        *lines, last = text.split("\n")
        position = {"line": len(lines), "character": len(last) + shift}
        return self._ask(method, textDocument={"uri": self._uri}, position=position)

    def _send(self, **message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self.process.stdin.flush()

    def _receive(self):
        length = 0
        while line := self.process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        assert length, "the language server has ended"
        return json.loads(self.process.stdout.read(length))

    def _ask(self, method, **params):
        number = next(self._numbers)
        self._send(id=number, method=method, params=params)
        while True:
            message = self._receive()
            if "method" in message and "id" in message:  # a question of its own
                settings = {
                    "pythonPath": sys.executable,
                    "analysis": {"extraPaths": [str(Path(gpugrad.__file__).parents[1])]},
                }
                asked = message.get("params", {}).get("items", [])
                self._send(id=message["id"], result=[settings for _ in asked] or None)
            elif message.get("id") == number:
                return message["result"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("workspace"))
    yield server
    server.stop()


def list_public(names):
    return {name for name in names if name[0] != "_"}


def test_editors_offer_the_public_names_alone(server):
    offered = server.list_names("import gpugrad\ngpugrad.")
    assert list_public(offered) == {*gpugrad.__all__}
    assert {name for name in offered if name[0] == "_" and name[:2] != "__"} == set()


@pytest.mark.parametrize("name", ["symbolic", "typing"])
def test_editors_offer_the_public_names_of_modules_alone(server, name):
    module = import_module(f"gpugrad.{name}")
    offered = server.list_names(f"import gpugrad.{name}\ngpugrad.{name}.")
    assert list_public(offered) == list_public(dir(module))


def test_editors_offer_what_a_result_has(server):
    offered = server.list_names("import gpugrad\ngpugrad.turning_points([0.0])[0].")
    assert {*gpugrad.TurningPoint._fields} <= offered
    offered = server.list_names("import gpugrad\ngpugrad.plan(3).")
    assert list_public(offered) == {
        "adjoint", "dtype", "library", "linear_operator", "matrix", "offset", "operator", "shape",
    }  # fmt: skip


@pytest.mark.parametrize("name", [name for name in gpugrad.__all__ if name != "symbolic"])
def test_editors_show_what_a_name_is(server, name):
    shown = server.read_hover(f"import gpugrad\ngpugrad.{name}")
    assert getattr(gpugrad, name).__doc__.strip().split("\n")[0] in shown
    assert not re.search(r"^\s*\{[a-z_]+\}$", shown, re.MULTILINE)  # marks say where to look
