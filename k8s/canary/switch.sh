#!/bin/sh
# Give a lane to its other workers: switch.sh bulk green, and back: switch.sh bulk blue.   docs/canary.md
# Those who take over are warm before the scaler moves; then the others drain. Whatever fails, no worker has been stopped.
set -eu
lane=$1
case $2 in
  green) from=worker-$lane to=worker-$lane-green ;;
  blue) from=worker-$lane-green to=worker-$lane ;;
  *) echo "usage: $0 LANE green|blue" >&2 && exit 2 ;;
esac
k() { kubectl --namespace emotivoice "$@"; }

size=$(k get deployment "$from" -o 'jsonpath={.spec.replicas}')
k scale deployment "$to" --replicas="$size"
k rollout status deployment "$to" --timeout=15m   # nodes may have to come, and fetch the model
k patch scaledobject "worker-$lane" --type=merge -p "{\"spec\": {\"scaleTargetRef\": {\"name\": \"$to\"}}}"
k wait "hpa/keda-hpa-worker-$lane" --for="jsonpath={.spec.scaleTargetRef.name}=$to" --timeout=1m
k scale deployment "$from" --replicas=0
