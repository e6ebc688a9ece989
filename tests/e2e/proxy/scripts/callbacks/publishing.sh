# Approve a post and have the end of its deliveries called back.
curl -s -X POST "$API/v1/generated-posts/$POST/approve" -H "Authorization: Bearer $KEY" -H "X-Webhook-URL: $HOOK"
