"""ReelMirror's calls that begin work (guides "Generation", "Review", "Automation", reference "Create outgoing post")."""

from bridge.providers.reelmirror.kinds import GENERATED_POST
from bridge.providers.start_spec import StartSpec

_POST = "generated_post_id"
_ITEM = "generated_media_item_id"
_OUTGOING = "outgoing_post_id"

STARTS = (
    StartSpec(
        name="sync",
        path="/v1/personas/{persona_id}/sync",
        kind="sync_job",
        answer_fields=("job_ids", "job_id"),
        persona_field="persona_id",
    ),
    StartSpec(
        name="generate",
        path="/v1/generate",
        kind="generated_post",
        answer_fields=(_POST,),
        persona_field="persona_id",
        source_field="source_post_id",
    ),
    # What it answers is not documented.
    StartSpec(
        name="clone_url",
        path="/v1/clone-url",
        kind="generated_post",
        answer_fields=(_POST, "id"),
        persona_field="persona_id",
        late=True,
    ),
    StartSpec(
        name="regenerate_post",
        path="/v1/generate/regenerate-post",
        kind="generated_post",
        answer_fields=(_POST,),
        request_field=_POST,
        about="generated_post",
        reruns=True,
        retried=GENERATED_POST.names.retried,
    ),
    # Whether the item keeps its id is not documented.
    StartSpec(
        name="media_item",
        path="/v1/generate/media-item",
        kind="generated_media_item",
        answer_fields=("new_item_id", _ITEM, "id"),
        request_field=_ITEM,
        about="generated_media_item",
        reruns=True,
    ),
    StartSpec(
        name="voice_convert",
        path="/v1/generate/voice-convert",
        kind="voice_conversion",
        answer_fields=(_ITEM, "id"),
        request_field=_ITEM,
        about="voice_conversion",
        reruns=True,
    ),
    StartSpec(
        name="approve",
        path="/v1/generated-posts/{generated_post_id}/approve",
        kind="outgoing_post",
        answer_fields=(_OUTGOING,),
        about="generated_post",
        about_field=_POST,
    ),
    StartSpec(
        name="send_to_compose",
        path="/v1/generated-posts/{generated_post_id}/send-to-compose",
        kind="outgoing_post",
        answer_fields=(_OUTGOING,),
        about="generated_post",
        about_field=_POST,
    ),
    StartSpec(
        name="create_outgoing",
        path="/v1/publishing/posts",
        kind="outgoing_post",
        answer_fields=("id", _OUTGOING),
        persona_field="persona_id",
    ),
    # The paths are not documented, so only what they answer with 2xx counts.
    *(
        StartSpec(
            name=word,
            path=f"/v1/publishing/posts/{{outgoing_post_id}}/{word}",
            kind="outgoing_post",
            answer_fields=(_OUTGOING, "id"),
            request_field=_OUTGOING,
        )
        for word in ("publish", "schedule")
    ),
)
