# Generate a post and have its end called back.
body="{\"source_post_id\": \"$SOURCE_POST\", \"persona_id\": \"$PERSONA\", \"webhook_url\": \"$HOOK\"}"
curl -s -X POST "$API/v1/generate" -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" -d "$body"
