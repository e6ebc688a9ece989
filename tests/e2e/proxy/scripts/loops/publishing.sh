# Approve a post and wait until each of its deliveries is published or has failed.
auth="Authorization: Bearer $KEY"
outgoing=$(curl -s -X POST "$API/v1/generated-posts/$POST/approve" -H "$auth" | jq -r '(.data // .).outgoing_post_id')
while true; do
  post=$(curl -s "$API/v1/publishing/posts/$outgoing" -H "$auth")
  left=$(echo "$post" | jq '[(.post // .data).deliveries[] | select(.status != "published" and .status != "failed")] | length')
  [ "$left" = 0 ] && break
  sleep "$(jq -n "10 * $PACE")"
done
echo "$outgoing published"
