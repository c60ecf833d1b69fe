# shellcheck shell=bash disable=SC2034,SC2154  # part of run.sh
# The guest on an emulated machine: QEMU, without hardware support, and the kernel of Debian's cloud images.

# Fetched once and unpacked into the cache; nothing of it is installed.
fetch_kernel() {
  local package
  newest() { apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ {print $2; exit}'; }
  package=$(newest)
  [[ -n $package ]] || { apt-get -qq update && package=$(newest); }
  [[ -n $package ]] || die "apt knows no linux-image-cloud-amd64: is Debian's main archive in sources.list?"
  rm -rf "$cache/new" && mkdir -p "$cache/new"
  fetch() { (cd "$cache/new" && apt-get -qq -o APT::Sandbox::User=root download "$package" 2>&1); }
  fetch || { apt-get -qq update && fetch; } || die "cannot download $package"
  dpkg-deb -x "$cache/new/$package"_*.deb "$cache/new"
  rm "$cache/new/$package"_*.deb
  depmod -b "$cache/new" "${package#linux-image-}"
  rm -rf "$cache/kernel" && mv "$cache/new" "$cache/kernel"
}

prepare_kernel() {
  [[ -e $cache/kernel ]] || fetch_kernel >&2
  modules_from=$cache/kernel/lib/modules
  version=$(basename "$modules_from"/*)
  modules=(virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci fuse virtiofs overlay
    virtio_console)
  root_from="-t virtiofs root"
}

start_file_server() {
  tied /usr/lib/qemu/virtiofsd --socket-path="$work/fs.sock" -o source=/ -o cache=always -o sandbox=chroot -o log_level=warn \
    >"$work/virtiofsd.log" 2>&1 </dev/null &
  processes+=($!)
  local server=$!
  until [[ -S $work/fs.sock ]]; do
    kill -0 "$server" 2>/dev/null || die "virtiofsd does not start: $(cat "$work/virtiofsd.log")"
    sleep 0.02  # it has no way to say so
  done
}

port() {
  printf '%s\n' -chardev "file,id=$1,path=$work/$1" -device "virtserialport,chardev=$1,name=$1"
}

# One processor: two emulated ones may block each other for ever in the kernel.
boot() {
  local ports
  start_file_server
  mapfile -t ports < <(port out && port err && port status)
  tied timeout --signal=KILL "$limit" setpriv --pdeathsig KILL qemu-system-x86_64 \
    -nodefaults -no-user-config -display none -no-reboot -accel tcg,thread=single -cpu max -smp 1 -m "${memory}M" \
    -object "memory-backend-memfd,id=mem,size=${memory}M,share=on" -numa node,memdev=mem \
    -chardev "socket,id=fs,path=$work/fs.sock" -device vhost-user-fs-pci,chardev=fs,tag=root \
    -device virtio-serial-pci "${ports[@]}" -serial "file:$work/console" \
    -kernel "$cache/kernel/boot/vmlinuz-$version" -initrd "$work/initrd.img" \
    -append "console=ttyS0 quiet panic=-1" >"$work/qemu.log" 2>&1 </dev/null &
  processes+=($!)
}
