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

say "Local cluster: a real Kubernetes control plane, with fake GPU nodes"
modelfleet local up
exports=$(modelfleet local env)
eval "$exports"

say "Namespace $namespace, which the services live in"
kubectl create namespace "$namespace" --dry-run=client --output yaml |
    kubectl apply --server-side --filename -

say "Stack $stack, and what its program declares"
pulumi stack select --create "$stack"
pulumi up --yes

say "Running"
[ -t 1 ] || export COLUMNS=100 # where nobody's terminal says how wide
modelfleet ls --namespace "$namespace"

cat <<END

To look around, in this shell:  eval "\$(.venv/bin/modelfleet local env)"
  kubectl get pods -n $namespace -o wide    which pod is on which GPU node
  pulumi preview                        after an edit of stacks/Pulumi.dev.yaml: what would happen
  make up                               make it so
  make down                             end the local cluster; the next \`make up\` goes on from there
END
