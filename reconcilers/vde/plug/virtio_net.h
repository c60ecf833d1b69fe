// <linux/virtio_net.h> for C++: up to Linux 6.1 at least, one of its structures has a member called "class".
#pragma once

#include <linux/if_ether.h>
#include <linux/types.h>

#define class class_
#include <linux/virtio_net.h>
#undef class

static_assert(sizeof(virtio_net_hdr) == 10, "as the kernel puts it in front of a frame");
