/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The end of a record: out of the scratch, into a ring. */
#ifndef SHIKRA_SUBMIT_H
#define SHIKRA_SUBMIT_H

/* Copies the record into one of this CPU's rings and gives the scratch back. */
static __always_inline void submit_to(struct record *record, enum ring_kind kind)
{
	__u32 slot = bpf_get_smp_processor_id() + kind * CPUS_MAX;
	__u32 class = record->header->class;
	__u64 size = record->offset & (RECORD_STRINGS_BYTES - 1);
	struct scratch *scratch = record->scratch;
	void *ring = bpf_map_lookup_elem(&rings, &slot);

	record->header->size = size;
	if (record->offset >= RECORD_STRINGS_BYTES) {
		count_drop(DROP_EVENT_TOO_LARGE, class);
	} else if (!ring) {
		count_drop(DROP_RING_FULL, class);
	} else {
		/* The reader looks by itself every 10 ms; it is woken for what fills the ring faster. */
		long flags = BPF_RB_NO_WAKEUP;

		scratch->rings[kind].unseen_bytes += size;
		if (scratch->rings[kind].unseen_bytes >= settings.rings[kind].look_bytes)
			flags = look_at_ring(scratch, kind, size);
		if (flags != REFUSED && bpf_ringbuf_output(ring, scratch->record, size, flags))
			count_drop(DROP_RING_FULL, class);
	}
	scratch->busy = 0;
}

static __always_inline void record_submit(struct record *record)
{
	submit_to(record, RING_CALLS);
}

#endif
