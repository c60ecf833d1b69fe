# shellcheck shell=bash disable=SC2034,SC2154  # part of run.sh
# The guest as a process: User-mode Linux, which Debian has as a package with its modules.

prepare_kernel() {
  version=$(linux.uml --version)
  modules_from=/usr/lib/uml/modules
  modules=(overlay)
  root_from="-t hostfs root"
}

# In a process namespace of its own: its helpers, which run the guest's processes, end with it whatever ends it. It is
# not the first process there, for these survive abort(), which is how it ends after a panic.
boot() {
  tied timeout --signal=KILL "$limit" setpriv --pdeathsig KILL \
    unshare --pid --mount-proc --fork --kill-child \
    bash -c '"$@"; exit $?' first linux.uml "mem=${memory}M" "initrd=$work/initrd.img" quiet "umid=guest" "uml_dir=$work/" \
    con=null con0=null,fd:1 ssl=null ssl0=null,fd:3 ssl1=null,fd:4 ssl2=null,fd:5 \
    3>"$work/out" 4>"$work/err" 5>"$work/status" >"$work/console" 2>&1 </dev/null &
  processes+=($!)
}
