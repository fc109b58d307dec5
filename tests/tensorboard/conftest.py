"""TensorBoard's own plugins over what was written, asked over HTTP as its page asks them."""

import json

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from werkzeug.test import Client


@pytest.fixture
def ask():
    """`ask(TextPlugin, logdir, "/text", run=..., tag=...)`; with `post`, that is sent as JSON."""

    def ask(plugin, logdir, route, *, post=None, raw=False, **query):
        multiplexer = EventMultiplexer()
        multiplexer.AddRunsFromDirectory(str(logdir))
        multiplexer.Reload()
        provider = MultiplexerDataProvider(multiplexer, str(logdir))
        app = Client(plugin(TBContext(data_provider=provider)).get_plugin_apps()[route])
        found = app.post("/", json=post) if post is not None else app.get("/", query_string=query)
        assert found.status_code == 200, found.text
        return found.data if raw else json.loads(found.data)

    return ask
