# Sync a persona, generate a post from what was found, approve it, and wait at each step.
auth="Authorization: Bearer $KEY"
for job in $(curl -s -X POST "$API/v1/personas/$PERSONA/sync" -H "$auth" | jq -r '(.data // .).job_ids[]'); do
  while true; do
    state=$(curl -s "$API/v1/sync-jobs/$job" -H "$auth" | jq -r .data.status)
    case "$state" in completed | failed | skipped) break ;; esac
    sleep "$(jq -n "15 * $PACE")"
  done
done
source=$(curl -s "$API/v1/personas/$PERSONA/source-posts?limit=1" -H "$auth" | jq -r '.data[0].id')
body="{\"source_post_id\": \"$source\", \"persona_id\": \"$PERSONA\"}"
post=$(curl -s -X POST "$API/v1/generate" -H "$auth" -H "Content-Type: application/json" -d "$body" | jq -r '(.data // .).generated_post_id')
until curl -s "$API/v1/generated-posts/$post" -H "$auth" | jq -e '.data | .status == "completed" and all(.media_items[]; .status == "completed")' > /dev/null; do
  sleep "$(jq -n "10 * $PACE")"
done
outgoing=$(curl -s -X POST "$API/v1/generated-posts/$post/approve" -H "$auth" | jq -r '(.data // .).outgoing_post_id')
while true; do
  left=$(curl -s "$API/v1/publishing/posts/$outgoing" -H "$auth" | jq '[(.post // .data).deliveries[] | select(.status != "published" and .status != "failed")] | length')
  [ "$left" = 0 ] && break
  sleep "$(jq -n "10 * $PACE")"
done
echo "$outgoing published"
