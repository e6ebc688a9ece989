"""The arguments of `jobs`, `events`, `deliveries` and `keys`."""

import argparse

from bridge.cli.arguments.lists import add_filter, add_list, add_period, call_bridge, pick
from bridge.cli.arguments.parsers import Subparsers, add_action
from bridge.cli.arguments.values import CALLBACK_STATES, DELIVERY_STATES, KIND_NAMES, RECOVERED_STATES, SCOPES
from bridge.cli.remote import keys, objects
from bridge.providers.registry import CATALOGUE


def add_jobs(commands: Subparsers) -> None:
    """Add `jobs`."""

    def filters(each: argparse.ArgumentParser) -> None:
        add_filter(each, "--kind", "only this kind", *KIND_NAMES)
        add_filter(each, "--job", "only the job with this id")
        add_filter(each, "--state", "only in this state", *CALLBACK_STATES)

    actions = add_list(
        commands,
        "jobs",
        "the watched jobs: list, show, timeline, cancel",
        listing=objects.CALLBACKS,
        filters=filters,
        query=lambda chosen: pick(chosen, kind="kind", job_id="job", state="state"),
    )
    add_action(
        actions,
        "show",
        "show a job as it was last seen",
        call_bridge(
            lambda api, chosen: objects.show_one(api, "/v1/jobs", chosen.kind, chosen.id, as_json=chosen.json)
        ),
        ("kind", "its kind"),
        ("id", "its id at the provider"),
    )
    add_action(
        actions,
        "timeline",
        "show what has happened to a callback, and what comes next",
        call_bridge(lambda api, chosen: objects.show_timeline(api, chosen.id, as_json=chosen.json)),
        ("id", "the callback's id, as `jobs list` shows it"),
    )
    add_action(
        actions,
        "cancel",
        "cancel a callback",
        call_bridge(
            lambda api, chosen: objects.remove(api, objects.CALLBACKS.path, chosen.id, as_json=chosen.json)
        ),
        ("id", "the callback's id, as `jobs list` shows it"),
    )


def add_events(commands: Subparsers) -> None:
    """Add `events`."""

    def filters(each: argparse.ArgumentParser) -> None:
        add_filter(each, "--type", "only this type", *CATALOGUE.types)
        add_filter(each, "--kind", "only of this kind of job", *KIND_NAMES)
        add_filter(each, "--job", "only of the job with this id")

    actions = add_list(
        commands,
        "events",
        "the events: list, show, resend",
        listing=objects.EVENTS,
        filters=filters,
        query=lambda chosen: pick(chosen, type="type", kind="kind", job_id="job"),
    )
    add_action(
        actions,
        "show",
        "show an event",
        call_bridge(lambda api, chosen: objects.show_one(api, "/v1/events", chosen.id, as_json=chosen.json)),
        ("id", "the event's id"),
    )
    add_action(
        actions,
        "resend",
        "send an event again to all who got it, and to all who listen",
        call_bridge(lambda api, chosen: objects.resend_event(api, chosen.id, as_json=chosen.json)),
        ("id", "the event's id"),
    )


def add_deliveries(commands: Subparsers) -> None:
    """Add `deliveries`."""

    def filters(each: argparse.ArgumentParser) -> None:
        add_filter(each, "--state", "only in this state", *DELIVERY_STATES)
        add_filter(each, "--event", "only of the event with this id")
        add_filter(each, "--callback", "only to the callback with this id")
        add_filter(each, "--endpoint", "only to the endpoint with this id")

    actions = add_list(
        commands,
        "deliveries",
        "the deliveries: list, show, retry, recover",
        listing=objects.DELIVERIES,
        filters=filters,
        query=lambda chosen: pick(
            chosen, state="state", event_id="event", callback_id="callback", endpoint_id="endpoint"
        ),
    )
    add_action(
        actions,
        "show",
        "show a delivery with its attempts",
        call_bridge(
            lambda api, chosen: objects.show_one(api, "/v1/deliveries", chosen.id, as_json=chosen.json)
        ),
        ("id", "the delivery's id"),
    )
    add_action(
        actions,
        "retry",
        "make one more attempt now",
        call_bridge(lambda api, chosen: objects.retry_delivery(api, chosen.id, as_json=chosen.json)),
        ("id", "the delivery's id"),
    )
    _add_recover(actions)


def _add_recover(actions: Subparsers) -> None:
    recover = add_action(
        actions,
        "recover",
        "send all parked deliveries of a period again",
        call_bridge(
            lambda api, chosen: objects.recover(
                api,
                "/v1/deliveries",
                chosen.since,
                chosen.until,
                state=chosen.state,
                as_json=chosen.json,
            )
        ),
    )
    add_period(recover)
    recover.add_argument(
        "--state",
        choices=RECOVERED_STATES,
        default="parked",
        metavar="STATE",
        help=f"{', '.join(RECOVERED_STATES)} (default parked)",
    )


def add_keys(commands: Subparsers) -> None:
    """Add `keys`."""
    actions = add_list(
        commands, "keys", "the API keys of the running service: list, create, revoke", listing=keys.KEYS
    )
    create = add_action(
        actions,
        "create",
        "create a key and print it once",
        call_bridge(
            lambda api, chosen: keys.create_key(
                api, name=chosen.name, scopes=chosen.scopes or ["register", "read"], as_json=chosen.json
            )
        ),
    )
    create.add_argument("--name", required=True, help="what the key is for")
    create.add_argument(
        "--scope",
        dest="scopes",
        action="append",
        choices=SCOPES,
        metavar="SCOPE",
        help=f"what the key may do: {', '.join(SCOPES)}; give it several times for several (default: register and read)",
    )
    add_action(
        actions,
        "revoke",
        "revoke a key; it stops working at once",
        call_bridge(lambda api, chosen: keys.revoke_key(api, chosen.id, as_json=chosen.json)),
        ("id", "the key's id, as `keys list` shows it"),
    )
