#!/bin/bash
# Installs what is needed, builds, and runs the tests.
#
#   sudo tests/run.sh [PART...]
#
#   all          everything below but nightly and bench (default)
#   unit         without a kernel
#   integration  on this machine's kernel, in network namespaces of their own
#   docker       with a real dockerd, in namespaces of its own
#   guest        on Debian's kernel in a virtual machine: VLANs, VLAN filtering
#   sanitizers   unit and integration under ASan and UBSan, what has threads under TSan
#   lint         clang-format, clang-tidy, shellcheck
#   nightly      what takes long and rarely finds anything, and newer Dockers: before a release, so not part of all
#   bench        the benchmarks, beside what `ip -batch` takes; no test, so not part of all
#
# The exit status is 0 only when every part ran at least one test and all passed. Logs: build/test-logs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

logs=build/test-logs
steps=()            # in the order of the summary
declare -A running  # steps beside the others: the process of each

# --- one step: a command with a log, a result and a duration ---

# step NAME COMMAND...
step() {
  local name=$1 start=$SECONDS result=passed
  shift
  echo "== $name"
  "$@" 2>&1 | tee "$logs/$name.log" || result=FAILED
  echo "$result $((SECONDS - start))" >"$logs/$name.result"
  [[ $result == passed ]]
}

# beside NICENESS NAME COMMAND...: a step that runs beside others and takes the processor time that they leave. Its
# output is in its log only.
beside() {
  local niceness=$1 name=$2
  shift
  echo "== $name, beside what follows"
  set -m  # a process group of its own, which ends with this script
  {
    renice -n "$niceness" "$BASHPID" >/dev/null
    step "$@" >/dev/null
  } &
  running[$name]=$!
  set +m
}

end_running() {
  local process
  for process in "${running[@]}"; do
    kill -- "-$process" 2>/dev/null || true
  done
}
trap end_running EXIT

# Waits for a step that runs beside others, if there is one; false when it failed.
finish() {
  [[ -v running[$1] ]] || return 0
  local status=0
  wait "${running[$1]}" || status=$?
  unset "running[$1]"
  [[ $status -eq 0 ]] || tail -n 200 "$logs/$1.log"
  return "$status"
}

passed() { [[ -e $logs/$1.result && $(<"$logs/$1.result") == passed* ]]; }

summary() {
  local name result seconds closing all_passed=true
  echo
  for name in "${steps[@]}"; do
    read -r result seconds 2>/dev/null <"$logs/$name.result" || { result="NOT RUN" && seconds=0; }
    [[ $result == passed ]] || all_passed=false
    closing=$(grep -E '^[0-9]+% tests passed' "$logs/$name.log" 2>/dev/null | tail -n 1 || true)
    printf '%-18s %-8s %5s s   %s\n' "$name" "$result" "$seconds" "$closing"
  done
  if ! $all_passed; then
    echo "FAILED after $SECONDS s"
    return 1
  fi
  echo "all passed in $SECONDS s"
}

# --- what the steps do ---

# build PRESET [TARGET]: and lists the tests for once, which two that run beside each other would write over.
build() {
  cmake --preset "$1" >/dev/null && cmake --build --preset "$1" ${2:+--target "$2"} &&
    { [[ -n ${2:-} ]] || ctest --test-dir "build/$1" --show-only >/dev/null; }
}

# test_labelled PRESET EXPRESSION [OPTION...]: the tests that carry a label matching the expression; that there are none
# is an error.
test_labelled() {
  local preset=$1 expression=$2
  shift 2
  ctest --test-dir "build/$preset" -L "$expression" --no-tests=error --output-on-failure -j "$(nproc)" "$@"
}

# The thread sanitizer wants the addresses where it expects them, which much randomness of the kernel's prevents.
test_threads() {
  local fixed=()
  setarch -R true 2>/dev/null && fixed=(setarch -R)
  "${fixed[@]}" ctest --test-dir build/tsan -L '^(unit[.]api|unit[.]agent|integration[.]tsan)$' --no-tests=error --output-on-failure \
    -j "$(($(nproc) * 2))"
}

need_build() {
  [[ -e $logs/build-$1.result ]] || step "build-$1" build "$1" || true
  passed "build-$1"
}

# --- the parts ---

test_part() {
  need_build release && step "$1" test_labelled release "^$1" -LE '[.]timed$'
}

# What holds times against limits has the machine to itself.
timed_part() {
  finish guest || true
  need_build release && step timed test_labelled release '[.]timed$'
}

# test_engine SUITE: those with Docker, with that of another suite of Debian's.
test_engine() {
  local directory=$PWD/build/engines/$1
  tests/docker/engine.sh "$1" "$directory" && LANWRIGHT_TEST_DOCKER=$directory test_labelled release '^docker'
}

nightly_part() {
  local suite
  test_part nightly || true
  passed build-release || return 0
  for suite in trixie sid; do step "docker-$suite" test_engine "$suite" || true; done
}

bench_part() {
  finish guest || true
  need_build release && step bench build/release/bin/lanwright_bench
}

lint_part() {
  cmake --preset release >/dev/null && step lint tests/lint.sh build/release
}

# The builds keep all processors busy: beside tests, userspace switches had none for seconds. A test mostly waits: one
# more at a time than there are processors.
sanitizers_part() {
  local more=$(($(nproc) + 1))
  export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1
  step build-asan build asan memory_tests || true
  step build-tsan build tsan thread_tests || true
  if passed build-asan; then
    step unit-asan test_labelled asan '^unit' -j "$more" || true
    step integration-asan test_labelled asan '^integration([.]tsan)?$' -j "$more" || true
  fi
  if passed build-tsan; then
    step threads-tsan test_threads || true
  fi
}

main() {
  local part
  [[ $# -gt 0 ]] || set -- all
  for part in "$@"; do
    [[ $part =~ ^(all|unit|integration|docker|guest|sanitizers|lint|nightly|bench)$ ]] || { sed -n '4,16s/^# \?//p' "$0" >&2 && exit 2; }
  done
  if [[ $EUID -ne 0 ]]; then
    echo "$0: the tests install packages and make network namespaces: run it as root (sudo $0 $*)" >&2
    exit 1
  fi
  [[ $* != all ]] || set -- unit integration docker guest sanitizers lint
  tests/packages.sh build test
  [[ ! " $* " =~ \ (docker|nightly)\  ]] || tests/packages.sh docker
  [[ ! " $* " =~ \ (guest|nightly)\  ]] || tests/packages.sh guest docker
  [[ ! " $* " =~ \ lint\  ]] || tests/packages.sh lint
  rm -rf "$logs"
  mkdir -p "$logs"
  if [[ " $* " =~ \ (unit|integration|docker|guest|nightly|bench)\  ]]; then
    steps+=(build-release) && need_build release || true
  fi
  # The guests have links, and a lock for them, of their own; nothing of theirs measures time.
  if [[ " $* " =~ \ guest\  ]] && passed build-release; then beside 3 guest test_labelled release '^guest'; fi
  for part in "$@"; do
    case $part in
      guest) steps+=(guest) ;;
      sanitizers) steps+=(build-asan build-tsan unit-asan integration-asan threads-tsan) && sanitizers_part ;;
      nightly) steps+=(nightly docker-trixie docker-sid) && nightly_part ;;
      lint | bench) steps+=("$part") && { "${part}_part" || true; } ;;
      *) steps+=("$part") && { test_part "$part" || true; } ;;
    esac
  done
  if [[ " $* " =~ \ integration\  ]]; then steps+=(timed) && { timed_part || true; }; fi
  finish guest || true
  summary
}

main "$@"
