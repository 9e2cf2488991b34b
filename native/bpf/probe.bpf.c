/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The probe: one object, one file for each family of events. A further system call is a line in interest tables, or a family of its own. */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "event.h"
#include "compat.bpf.h"
#include "record.bpf.h"
#include "walk.bpf.h"
#include "cgroup.bpf.h"
#include "read.bpf.h"
#include "admission.bpf.h"
#include "submit.bpf.h"
#include "syscall.bpf.h"
#include "dispatch.bpf.c"
#include "process.bpf.c"
#include "open.bpf.c"
#include "path.bpf.c"
#include "descriptor.bpf.c"
#include "socket.bpf.c"
#include "scalar.bpf.c"
#include "uring.bpf.c"

/* Names the structs of the wire format in the object's type information, from which user space takes their layout. */
const struct {
	struct process_event process; struct fork_event fork; struct exit_event exit; struct open_event open; struct path_event path;
	struct descriptor_event descriptor; struct socket_event socket; struct scalar_event scalar; struct drop_counts drops;
	struct interest interest;
	enum event_limits limits; enum event_type types; enum event_family families; enum event_class classes; enum drop_reason reasons; enum ring_kind rings;
	enum event_abi abis; enum canary_number canaries; enum call_table tables; enum unreadable_bit unreadable_bits; enum lineage_flag lineage_flags;
	enum file_kind kinds; enum exe_flag exe_flags;
} wire_format SEC(".rodata.layout") = {};

char LICENSE[] SEC("license") = "GPL";
