#!/bin/sh
# From nothing to a running dev fleet on this machine: what `make up` does. Run it again at any time;
# what is there already is left alone.
set -eu
cd "$(dirname "$0")/.."

stack=${STACK:-dev}
namespace=models
PATH=$PWD/.venv/bin:$PATH

say() { printf '\n==> %s\n' "$*"; }

if [ "$stack" != dev ]; then
    cat >&2 <<END
\`make up\` is for dev, on the local cluster. $stack runs on a cluster of yours, with your own pulumi:

    . .venv/bin/activate
    pulumi stack select --create $stack
    pulumi preview
    pulumi up

stacks/Pulumi.$stack.yaml says which cluster; README.md, "Your own cluster", what it needs.
END
    exit 2
fi

if [ "${PODS:-auto}" = no ]; then
    pods=--no-pods lacking="PODS=no was asked for."
elif lacking=$(modelfleet local requirements); then
    pods=--pods
else
    pods=--no-pods
fi
if [ $pods = --pods ]; then
    say "Local cluster: a real Kubernetes control plane, fake GPU nodes, and two real nodes"
else
    say "Local cluster: a real Kubernetes control plane, with fake GPU nodes"
    echo "All nodes are fake: $lacking"
fi
modelfleet local up $pods
exports=$(modelfleet local env)
eval "$exports"

say "Namespace $namespace, which the services live in, and a claim on its models"
kubectl apply --server-side --filename stacks/local.yaml

say "Stack $stack, and what its program declares"
pulumi stack select --create "$stack"
pulumi up --yes

say "Running"
[ -t 1 ] || export COLUMNS=120 # where nobody's terminal says how wide
modelfleet ls --namespace "$namespace"

if [ $pods = --pods ]; then
    say "One of them answers: modelfleet chat titles --namespace $namespace 'Are you real?'"
    modelfleet chat titles --namespace "$namespace" 'Are you real?'

    say "And through the proxy, with a key that was made: modelfleet chat front --model titles-stable"
    MODELFLEET_API_KEY=$(pulumi stack output keys --show-secrets | python -c '
import json, sys
print(json.load(sys.stdin)["assistant"])')
    export MODELFLEET_API_KEY
    modelfleet chat front --namespace "$namespace" --model titles-stable 'And who are you?'
fi

cat <<END

To look around, in this shell:  eval "\$(.venv/bin/modelfleet local env)"
  kubectl get pods -n $namespace -o wide    which pod is on which GPU node
  pulumi preview                        after an edit of stacks/Pulumi.dev.yaml: what would happen
  make up                               make it so
  make down                             end the local cluster; the next \`make up\` goes on from there
END
