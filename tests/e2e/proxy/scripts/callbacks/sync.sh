# Sync a persona's sources and have the end of each job called back.
curl -s -X POST "$API/v1/personas/$PERSONA/sync" -H "Authorization: Bearer $KEY" -H "X-Webhook-URL: $HOOK"
