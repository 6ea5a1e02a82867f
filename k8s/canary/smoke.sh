#!/bin/sh
# Submit a job to a gateway, wait until it is spoken, fetch the audio and remove the job: smoke.sh http://gateway:8080
# Ends with 0 if there was audio. The text is new each time, so that a worker does speak it. A key: EMOTIVOICE_TOKEN.
set -eu
jobs=$1/v1/jobs
curl() { command curl -sSf -H "Authorization: Bearer ${EMOTIVOICE_TOKEN:-}" "$@"; }
text="A check of the release at $(date -u +%H:%M:%S)."
answer=$(curl -m 10 "$jobs" -H 'Content-Type: application/json' -d "{\"text\": \"$text\"}")
id=$(echo "$answer" | sed -E 's/^\{"id":"([^"]+)".*/\1/')
for _ in 1 2 3 4; do
  job=$(curl -m 40 "$jobs/$id?wait=30")
  case $job in
    *'"state":"succeeded"'*)
      bytes=$(curl -m 10 "$jobs/$id/audio" | wc -c)
      curl -m 10 -o /dev/null -X DELETE "$jobs/$id"
      echo "$bytes bytes of audio"
      [ "$bytes" -gt 1000 ]
      exit
      ;;
    *'"state":"failed"'* | *'"state":"cancelled"'*) break ;;
  esac
done
echo "no audio: $job"
exit 1
