"""The arguments of `endpoints`."""

from bridge.cli.arguments.lists import add_list, add_period, call_bridge
from bridge.cli.arguments.parsers import Subparsers, add_action
from bridge.cli.remote import objects
from bridge.cli.remote.lists import join
from bridge.domain.events.payloads import PAYLOADS
from bridge.providers.registry import CATALOGUE

PATH = objects.ENDPOINTS.path
KNOWN = ("id", "the endpoint's id")
SAMPLE = next(iter(CATALOGUE.types)).partition(".")[0]


def add_endpoints(commands: Subparsers) -> None:
    """Add `endpoints`."""
    actions = add_list(
        commands,
        "endpoints",
        "the endpoints: list, show, create, test, rotate, recover, delete",
        listing=objects.ENDPOINTS,
    )
    add_action(
        actions,
        "show",
        "show an endpoint",
        call_bridge(lambda api, chosen: objects.show_one(api, PATH, chosen.id, as_json=chosen.json)),
        KNOWN,
    )
    _add_create(actions)
    _add_test(actions)
    _add_changes(actions)


def _add_create(actions: Subparsers) -> None:
    create = add_action(
        actions,
        "create",
        "create an endpoint and print its signing secret",
        call_bridge(
            lambda api, chosen: objects.create_endpoint(
                api,
                {
                    "url": chosen.url,
                    "events": chosen.events,
                    "description": chosen.description,
                    "payload": chosen.payload,
                },
                as_json=chosen.json,
            )
        ),
        ("url", "where its events go"),
    )
    create.add_argument(
        "--event",
        dest="events",
        action="append",
        metavar="TYPE",
        help=f"a type or a pattern such as '{SAMPLE}.*'; give it several times for several (default: endings)",
    )
    create.add_argument("--description", metavar="TEXT", help="what it is for")
    create.add_argument("--payload", choices=PAYLOADS, help="form of the bodies (default full)")


def _add_test(actions: Subparsers) -> None:
    test = add_action(
        actions,
        "test",
        "send a sample event to an endpoint; the exit status tells whether it was taken",
        call_bridge(
            lambda api, chosen: objects.test_endpoint(api, chosen.id, chosen.type, as_json=chosen.json)
        ),
        KNOWN,
    )
    test.add_argument(
        "--type", default="webhook.test", metavar="TYPE", help="an event type (default webhook.test)"
    )


def _add_changes(actions: Subparsers) -> None:
    add_action(
        actions,
        "rotate",
        "replace an endpoint's secret; the former one signs too for 24 hours",
        call_bridge(lambda api, chosen: objects.rotate_secret(api, chosen.id, as_json=chosen.json)),
        KNOWN,
    )
    recover = add_action(
        actions,
        "recover",
        "send an endpoint the events of a period that it lacks",
        call_bridge(
            lambda api, chosen: objects.recover(
                api, join(PATH, chosen.id), chosen.since, chosen.until, as_json=chosen.json
            )
        ),
        KNOWN,
    )
    add_period(recover)
    add_action(
        actions,
        "delete",
        "delete an endpoint with what waits for it",
        call_bridge(lambda api, chosen: objects.remove(api, PATH, chosen.id, as_json=chosen.json)),
        KNOWN,
    )
