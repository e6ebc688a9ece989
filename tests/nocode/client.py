"""Registers, lists and deletes a callback with a client made of the API's own document: URL and key are the arguments."""

import json
import sys
from typing import Any

from reelbridge_client import AuthenticatedClient  # type: ignore[import-not-found]  # it is generated
from reelbridge_client.api.callbacks import (  # type: ignore[import-not-found]  # as above
    create_callback,
    delete_callback,
    list_callbacks,
)
from reelbridge_client.models import (  # type: ignore[import-not-found]  # as above
    CallbackBody,
    CallbackBodyForm,
    CallbackPage,
    CallbackShape,
    Deleted,
    ErrorAnswer,
)

url, key = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=key)


def call(operation: Any, *words: Any, **fields: Any) -> Any:
    """The answer as a model."""
    return operation.sync(*words, client=client, **fields)


made = call(create_callback, body=CallbackBody(callback_url="inbox:", job_id="from-python"))
assert isinstance(made, CallbackShape), made
as_form = call(
    create_callback, body=CallbackBodyForm(callback_url="inbox:", job_id="form", events="completed")
)
assert isinstance(as_form, CallbackShape), as_form
listed = call(list_callbacks, job_id="from-python")
assert isinstance(listed, CallbackPage), listed
gone = call(delete_callback, made.id)
assert isinstance(gone, Deleted), gone
refused = call(create_callback, body=CallbackBody(job_id="1"))
assert isinstance(refused, ErrorAnswer), refused
json.dump(
    {
        "kind": made.kind,
        "events": as_form.events,
        "listed": [each.id == made.id for each in listed.data],
        "deleted": gone.deleted,
        "refused": refused.error.code,
    },
    sys.stdout,
)
