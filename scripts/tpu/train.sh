#!/usr/bin/env bash
# Trains on a TPU VM, or on every worker of a pod slice:
#
#   scripts/tpu/train.sh --name=my-tpu --zone=us-east5-b --type=v6e-8 --create --spot -- \
#     --config=configs/lm_tiny.py --workdir=gs://my-bucket/runs/a --config.seed=1
#
#   --name=NAME --zone=ZONE   the TPU
#   --project=PROJECT         if it is not gcloud's default one
#   --create                  request it, as a queued resource of its name, unless it is there; wait for it
#   --type=TYPE               what to create: v6e-8, v5p-32, v5e-16, v4-8, ...
#   --version=VERSION         its software, if not the one that belongs to the type
#   --spot                    create it at the spot price: it may be taken away, and is then requested anew
#   --delete-after            delete what --create made, once training has ended well
#   --repo=URL                the code; this checkout's origin if not given
#   --branch=NAME             a branch, a tag or a full commit hash; main if not given
#   --dry-run                 print every gcloud command, ready to paste, and run none
#   -- ARGUMENT...            what python -m train is given
#
# The same line again goes on: a run that still lives is followed, one that ended resumes from its checkpoint.
# Training does not hang on this terminal: on each worker it runs under setsid and nohup (a tmux would add nothing
# but a dependency), writes to ~/meshwright.log and holds ~/meshwright.lock. Ctrl-C only stops following it. To end
# it, with a checkpoint:
#
#   gcloud compute tpus tpu-vm ssh NAME --zone=ZONE --worker=all --command="pkill -f '^.venv/bin/python -m train'"
#
# Exit codes: 0 trained, 2 a mistake in the line, 3 the TPU is busy with another run, else training's or gcloud's.

set -euo pipefail # and nothing that bash 3.2, the one of macOS, does not know

main() {
  exec 3>&1 # where a dry run prints, also from within $(...)
  parse "$@"
  check
  find_commit
  if ((create)); then create_tpu; fi
  on_workers prepare "$repo" "$commit"
  on_workers train "${arguments[@]}"
  if ((delete_after)); then delete_tpu; fi
}

parse() {
  name='' zone='' project='' type='' version='' repo='' branch=main arguments=()
  create=0 spot=0 delete_after=0 dry_run=0
  while (($#)); do
    case $1 in
      --name=*) name=${1#*=} ;;
      --zone=*) zone=${1#*=} ;;
      --project=*) project=${1#*=} ;;
      --type=*) type=${1#*=} ;;
      --version=*) version=${1#*=} ;;
      --repo=*) repo=${1#*=} ;;
      --branch=*) branch=${1#*=} ;;
      --create) create=1 ;;
      --spot) spot=1 ;;
      --delete-after) delete_after=1 ;;
      --dry-run) dry_run=1 ;;
      --help | -h) sed -n '2,/^$/s/^# \{0,1\}//p' "$0" && exit ;;
      --) shift && arguments=("$@") && break ;;
      *) fail "$1: no such option; --help shows them, and training's own come after a --" ;;
    esac
    shift
  done
}

check() {
  [[ $name ]] || fail "--name is missing: write the TPU's name, such as --name=my-tpu"
  [[ $zone ]] || fail "--zone is missing: write the TPU's zone, such as --zone=us-east5-b"
  given --config || fail "training's --config is missing: write it last, such as -- --config=configs/lm_tiny.py"
  given --workdir || fail "training's --workdir is missing: write it last, such as -- --workdir=gs://my-bucket/a"
  ((create)) || ((!spot && !delete_after)) || fail "--spot and --delete-after need --create: write that too"
  ((!create)) || [[ $type ]] || fail "--type is missing: write what to create, such as --type=v6e-8"
  ((dry_run)) || command -v gcloud >/dev/null ||
    fail "gcloud is not installed: follow https://cloud.google.com/sdk/docs/install, then write: gcloud init"
  where=(--zone="$zone" ${project:+--project="$project"})
  type=${type/#v5e-/v5litepod-} # Google's name for it
  ((!create)) || version=${version:-$(software_of "$type")}
}

given() { # FLAG: whether training gets it
  local argument
  for argument in ${arguments[@]+"${arguments[@]}"}; do
    if [[ $argument == "$1" || $argument == "$1="* ]]; then return 0; fi
  done
  return 1
}

# The TPU software for JAX on each type: https://cloud.google.com/tpu/docs/runtimes
software_of() {
  case $1 in
    v6e-*) echo v2-alpha-tpuv6e ;;
    v5p-*) echo v2-alpha-tpuv5 ;;
    v5litepod-*) echo v2-alpha-tpuv5-lite ;;
    v4-* | v3-* | v2-*) echo tpu-ubuntu2204-base ;;
    *) fail "--type=$1: expected v2-, v3-, v4-, v5e-, v5p- or v6e- and a number; else write its --version" ;;
  esac
}

find_commit() { # every worker gets the same one, whatever is pushed meanwhile
  if [[ ! $repo ]]; then
    repo=$(git -C "$(dirname "$0")" remote get-url origin 2>/dev/null) ||
      fail "--repo is missing, and this checkout has no origin: write --repo=https://..."
  fi
  commit=$branch
  if [[ ! $commit =~ ^[0-9a-f]{40}$ ]]; then
    read -r commit _ < <(git ls-remote "$repo" "refs/heads/$branch" "refs/tags/$branch") ||
      fail "--branch=$branch: found no such branch or tag in $repo; write one, or a full commit hash"
  fi
}

create_tpu() {
  local request=(gcloud compute tpus queued-resources create "$name" --node-id="$name" "${where[@]}")
  request+=(--accelerator-type="$type" --runtime-version="$version")
  if ((spot)); then request+=(--spot); fi
  case $(state) in
    '') run "${request[@]}" ;;
    SUSPENDED | FAILED) delete_tpu && run "${request[@]}" ;;
  esac
  while ((!dry_run)); do
    case $(state) in
      ACTIVE) break ;;
      FAILED) fail "$name cannot be had; gcloud compute tpus queued-resources describe $name tells why" 1 ;;
      *) echo "train.sh: waiting for $name" >&2 && sleep 30 ;;
    esac
  done
}

state() { # of the queued resource: ACTIVE, WAITING_FOR_RESOURCES, SUSPENDED, ...; nothing if there is none
  run gcloud compute tpus queued-resources describe "$name" "${where[@]}" --format='value(state.state)' \
    2>/dev/null || true
}

delete_tpu() {
  run gcloud compute tpus queued-resources delete "$name" "${where[@]}" --force --quiet
}

on_workers() { # FUNCTION ARGUMENT...: calls it on every worker; it travels as text, its arguments quoted
  local code=0 command
  command=$(quote bash -c "$(declare -f "$1"); \"\$@\"" train.sh "$@")
  run gcloud compute tpus tpu-vm ssh "$name" "${where[@]}" --worker=all --command="$command" || code=$?
  ((!code)) || fail "$1 ended with exit code $code, or the connection did; the same line again goes on" $code
}

run() { # COMMAND...: runs it, or prints it in a dry run
  if ((dry_run)); then
    quote "$@" >&3
  else
    "$@"
  fi
}

quote() { # ARGUMENT...: as one line of any POSIX shell that gives exactly these
  local argument words=() escaped="'\\''"
  for argument in "$@"; do
    case $argument in
      '' | *[!A-Za-z0-9_=:,./@%+-]*) words+=("'${argument//\'/$escaped}'") ;;
      *) words+=("$argument") ;;
    esac
  done
  printf '%s\n' "${words[*]}"
}

fail() { # MESSAGE [CODE]
  echo "train.sh: $1" >&2
  exit "${2:-2}"
}

# From here on: what runs on the workers.

prepare() { # REPO COMMIT: the code and its environment, unless a run lives there, which keeps its own
  set -euo pipefail
  cd
  exec 9>>meshwright.lock
  flock --nonblock 9 || exit 0
  git init --quiet meshwright && cd meshwright # harmless where it is already; heals a clone that broke off
  git fetch --quiet --tags "$1" '+refs/heads/*:refs/remotes/origin/*'
  git checkout --quiet --detach "$2"
  local python
  if ! python=$(command -v python3.12 || command -v python3.11); then # the images bring 3.10, too old for jax
    python3 -m pip install --quiet --user uv
    ~/.local/bin/uv python install --quiet 3.12
    python=$(~/.local/bin/uv python find 3.12)
  fi
  command -v make >/dev/null || sudo apt-get install --yes make
  make setup-plan PYTHON="$python" # with libtpu
}

train() { # ARGUMENT...: starts training, or finds it running; shows its log until it ends, with its exit code
  set -euo pipefail
  cd
  local line from=(--lines=20)
  line=$(printf ' %q' "$@")
  exec 9>>meshwright.lock
  if flock --nonblock 9; then
    echo "python -m train$line" | tee meshwright.line >>meshwright.log
    from=(--bytes=+"$(($(wc -c <meshwright.log) + 1))")
    rm -f meshwright.exit
    cd meshwright
    # Training inherits the lock, and gives it back by ending, however it ends.
    setsid nohup bash -c '"$@"; echo $? >~/meshwright.exit' train.sh .venv/bin/python -m train "$@" \
      </dev/null >>~/meshwright.log 2>&1 &
    cd
  elif [[ $(cat meshwright.line) != "python -m train$line" ]]; then
    echo "$(hostname) is busy with another run: $(cat meshwright.line)" >&2
    exit 3
  fi
  exec 9>&-
  flock meshwright.lock true & # ends with training
  tail "${from[@]}" --pid=$! --follow meshwright.log
  exit "$(cat meshwright.exit || echo 1)"
}

main "$@"
