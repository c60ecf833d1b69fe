#!/bin/bash
# Holds all sources against .clang-format, .clang-tidy, shellcheck and the table of includes in CONTRIBUTING.md.
# usage: tests/lint.sh BUILD_DIRECTORY [--quick]    (configured, for its compile_commands.json; --quick: no clang-tidy)
#
# clang-tidy looks at a file only when the preprocessed text or the configuration differs from when it was last clean.
set -euo pipefail
build=$(cd "${1:?usage: $0 BUILD_DIRECTORY [--quick]}" && pwd)
quick=${2:-}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folders=(agent api model reconcilers state tests)
clean=$build/lint
mkdir -p "$clean"

status=0
mapfile -t sources < <(find "${folders[@]}" -name '*.cpp' -o -name '*.h' | sort)
python3 tests/include_rules.py || status=1
clang-format --dry-run -Werror "${sources[@]}" || status=1
mapfile -t scripts < <(grep -rlE '^#!/bin/(busybox )?(ba)?sh' tests examples systemd .ci | sort)
shellcheck --severity=warning "${scripts[@]}" || status=1

# One line a file: the name, a tab, the command that compiles it, turned into one that preprocesses it.
commands() {
  python3 - "$build/compile_commands.json" "$PWD" <<'PYTHON'
import json, os, shlex, sys
for entry in json.load(open(sys.argv[1])):
    words = [w for w in shlex.split(entry["command"]) if not w.endswith("ccache")]
    words = words[:words.index("-o")] + ["-E", "-C", entry["file"]]
    print(os.path.relpath(entry["file"], sys.argv[2]), shlex.join(words), sep="\t")
PYTHON
}

tidy() {
  local file=${1%%$'\t'*} command=${1#*$'\t'} key output
  key=$({ cat .clang-tidy tests/.clang-tidy && eval "$command"; } | sha256sum | cut -d' ' -f1)
  [[ ! -e $clean/$key ]] || return 0
  if output=$(clang-tidy --quiet -p "$build" "$file" 2>&1); then
    touch "$clean/$key"
  else
    echo "$output"
    return 1
  fi
}
export -f tidy
export build clean

[[ -n $quick ]] || commands | tr '\n' '\0' | xargs -0 -P "$(nproc)" -n 1 bash -c 'tidy "$1"' tidy || status=1
[[ $status -ne 0 ]] || echo "lint: ${#sources[@]} sources and ${#scripts[@]} scripts are clean"
exit $status
