# Sync a persona's sources and wait for each job.
auth="Authorization: Bearer $KEY"
for job in $(curl -s -X POST "$API/v1/personas/$PERSONA/sync" -H "$auth" | jq -r '(.data // .).job_ids[]'); do
  while true; do
    state=$(curl -s "$API/v1/sync-jobs/$job" -H "$auth" | jq -r .data.status)
    case "$state" in completed | failed | skipped) break ;; esac
    sleep "$(jq -n "15 * $PACE")"
  done
  echo "$job $state"
done
