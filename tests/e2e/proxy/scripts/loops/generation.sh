# Generate a post and wait until all of its items are completed.
auth="Authorization: Bearer $KEY"
body="{\"source_post_id\": \"$SOURCE_POST\", \"persona_id\": \"$PERSONA\"}"
post=$(curl -s -X POST "$API/v1/generate" -H "$auth" -H "Content-Type: application/json" -d "$body" | jq -r '(.data // .).generated_post_id')
until curl -s "$API/v1/generated-posts/$post" -H "$auth" | jq -e '.data | .status == "completed" and all(.media_items[]; .status == "completed")' > /dev/null; do
  sleep "$(jq -n "10 * $PACE")"
done
echo "$post completed"
