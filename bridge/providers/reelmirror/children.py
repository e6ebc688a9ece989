"""What comes of ReelMirror's jobs: posts of a sync, and the outgoing post of a generated one."""

from bridge.domain.groups.child_rule import ChildRule

_DAY_S = 86_400.0

CHILDREN = (
    # Automation guide: a source in `auto_clone` or `auto_publish` generates posts from what a sync found. No answer names
    # the sync that a post comes of.
    ChildRule(of="sync_job", kind="generated_post", within_s=900.0, by_persona=True),
    # Reference "Create outgoing post": an item names the generated media item that it publishes; the only documented link.
    # Review queue guide: a rejected post is not published, `published` means on at least one account.
    ChildRule(
        of="generated_post",
        kind="outgoing_post",
        within_s=7 * _DAY_S,
        list_field="items",
        name_field="generated_media_item_id",
        refused_by="rejected",
        confirmed_by="published",
    ),
)
